"""Public names and signatures change on purpose only, and keep a few rules."""

import ast
import inspect
import pathlib
import re
import subprocess
import sys
from types import ModuleType

import flax.linen as nn
import pytest

import fdl
from fdl.models.catalog import ZOO

FILE = pathlib.Path(__file__).with_name("public_api.txt")
RENEW = "if the change is wanted: python tests/test_public_api.py"
EMPTY = inspect.Signature.empty
MODULES = sorted({*fdl.__all__} & set(fdl._MODULES) - {"runs", "trees"})
# `Stack` calls the layers of a network with `train` by position.
LAYERS = {"Attention", "FeedForward", "TransformerBlock"}


def public(module: ModuleType) -> dict[str, object]:
    """What a module offers, by its full name, in submodules that it offers as well."""
    own = [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and name[0] != "_"
    ]
    found: dict[str, object] = {}
    for name in sorted(getattr(module, "__all__", own)):
        value = getattr(module, name)
        if isinstance(value, ModuleType):
            found |= public(value)
        else:
            found[f"{module.__name__}.{name}"] = value
    return found


PUBLIC = {k: v for name in MODULES for k, v in public(getattr(fdl, name)).items()}


def line(name: str, value: object) -> str:
    """Name, of fdl's functions and records with their parameters."""
    if not is_ours(value):
        return name
    signature = inspect.signature(value)
    parameters = [
        p.replace(annotation=p.empty, default=written(p.default))
        for p in signature.parameters.values()
    ]
    return f"{name}{signature.replace(parameters=parameters, return_annotation=EMPTY)}"


def is_ours(value: object) -> bool:
    """True of functions, and of classes with a constructor, that fdl defines."""
    if not getattr(value, "__module__", "").startswith("fdl."):
        return False
    if isinstance(value, type):
        made = hasattr(value, "_fields") or "__init__" in vars(value)
        return made and not getattr(value, "_is_protocol", False)
    return inspect.isfunction(value)


class Text(str):
    """Default value in a signature."""

    __repr__ = str.__str__


def written(default: object) -> object:
    """Text of a default that is the same in all versions of Python and of libraries."""
    if default is EMPTY:
        return default
    if default is None or type(default) in (bool, int, float, str, tuple):
        return Text(repr(default))
    name = getattr(default, "__name__", "")
    return Text(name if name.isidentifier() and name[0] != "_" else "...")


def lines() -> list[str]:
    """All lines of the file; of networks in the catalogue, their number."""
    top = [f"fdl.{name}" for name in fdl.__all__]
    zoo = {id(getattr(fdl.models, name)) for name in ZOO}
    networks = {
        name: value
        for name, value in PUBLIC.items()
        if id(value) in zoo
        or (isinstance(value, type) and issubclass(value, nn.Module))
    }
    rest = [line(name, value) for name, value in PUBLIC.items() if name not in networks]
    return [*top, f"fdl.models: {len(networks)} networks and layers", *rest]


def test_names_and_signatures_are_those_of_the_file():
    assert lines() == FILE.read_text().splitlines(), RENEW


def test_every_name_loads_in_a_fresh_process():
    code = (
        "import sys, fdl; assert not any(m.startswith('fdl.') for m in sys.modules); "
        "print(*(name for name in dir(fdl) if not hasattr(fdl, name)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_type_checkers_see_the_names_that_load():
    tree = ast.parse(pathlib.Path(fdl.__file__).read_text())
    imported = [
        alias.asname
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("fdl")
        for alias in node.names
    ]
    assert sorted(imported) == dir(fdl) == fdl.__all__


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fdl' has no attribute 'modles'"):
        fdl.modles  # noqa: B018


def functions() -> dict[str, object]:
    """Public functions, and `__call__` of public modules."""
    found = {}
    for name, value in PUBLIC.items():
        if inspect.isfunction(value) and is_ours(value):
            found[name] = value
        elif isinstance(value, type) and issubclass(value, nn.Module):
            found[f"{name}.__call__"] = value.__call__
    return found


def test_booleans_are_passed_by_name():
    found = [
        f"{name}({parameter})"
        for name, function in functions().items()
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        and (parameter.annotation in (bool, "bool") or type(parameter.default) is bool)
        and not LAYERS & {*name.split(".")}
    ]
    assert not found


def test_docstrings_name_all_arguments():
    found = []
    for name, function in functions().items():
        text = inspect.getdoc(function) or ""
        _, _, after = text.partition("Args:\n")
        section = re.split(r"\n(?=\S)", after)[0]
        named = {*re.findall(r"^  \*{0,2}(\w+):", section, re.MULTILINE)}
        taken = {*inspect.signature(function).parameters} - {"self"}
        if not text or (section and named != taken):
            found.append(f"{name}: {sorted(named ^ taken)}")
    assert not found


def test_networks_of_the_catalogue_take_attributes_of_their_module():
    for name in ZOO:
        *_, last = inspect.signature(getattr(fdl.models, name)).parameters.values()
        assert last.kind is last.VAR_KEYWORD, name


if __name__ == "__main__":
    FILE.write_text("\n".join(lines()) + "\n")
