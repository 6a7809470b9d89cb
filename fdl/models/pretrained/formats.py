"""Which format a checkpoint is of."""

import importlib
import inspect
import os
from collections.abc import Iterable, Mapping

import flax.linen as nn
import jax

from fdl.errors import UserError, near
from fdl.models.functional import functional
from fdl.models.pretrained.convert import flatten, names_of, stand_for
from fdl.models.pretrained.report import Report, WeightsError, listed
from fdl.models.pretrained.rules import Rule, Rules
from fdl.types import PyTree, Variables


def found(
    format: str | Rules | None,
    module: nn.Module,
    like: PyTree,
    names: Iterable[str],
    path: str | os.PathLike[str],
) -> tuple[str, Rules]:
    """The format of a file: the one that is asked for, or that fits most names.

    Args:
      format: A name, or rules; None to find it.
      module: What the file is read into.
      like: Its variables, or their shapes.
      names: All that the file has.
      path: The file, for the error.

    Raises:
      WeightsError: It fits no name at all.
    """
    formats, leaves, names = known(module, like), flatten(like), [*names]

    def score(rules):
        paths = stand_for(names, rules).values()
        return sum(not leaves.keys().isdisjoint(ours) for _, ours in paths)

    tried = " or ".join(formats)
    if format is None:
        label, rules = max(formats.items(), key=lambda item: score(item[1]))
    else:
        tried, rules = label, rules = named(format, formats)
    if score(rules) > 0:
        return label, rules
    tables = {**formats, **_published()}
    likely = max(tables, key=lambda label: len(stand_for(names, tables[label])))
    share = len(stand_for(names, tables[likely])) / max(len(names), 1)
    raise WeightsError(
        f"{os.fspath(path)} holds other weights: none of its {len(names):,} arrays "
        f"({listed(names, 3)}) is named as one of {type(module).__name__} in format "
        f"{tried}" + (f"; they look like {likely}" if share > 0.5 else ""),
        Report(os.fspath(path), label, missing=[*leaves], unexpected=names),
    )


def named(format: str | Rules, formats: Mapping[str, Rules]) -> tuple[str, Rules]:
    """A format and its name.

    Raises:
      UserError: There is none of that name.
    """
    if not isinstance(format, str):
        return "own rules", format
    if format not in formats:
        raise UserError(f"there is no format {format!r}. {near(format, formats)}")
    return format, formats[format]


def known(module: nn.Module, like: PyTree) -> dict[str, Rules]:
    """All formats that a module knows, ours first."""
    own = [Rule(path, path) for path in flatten(like)]
    return {"fdl": own, **getattr(module, "checkpoints", dict)()}


def aliases(name: str, rules: Rules) -> list[str]:
    """A path of ours or a name of theirs, and what it is called at the other side."""
    _, paths = stand_for([name], rules).get(name, (None, []))
    return [name, *names_of(name, rules), *paths]


def shapes(module: nn.Module) -> Variables:
    """Shapes and dtypes of the variables of a module.

    Raises:
      UserError: It does not say what its inputs are.
    """
    if not hasattr(module, "example"):
        raise UserError(
            f"{type(module).__name__} has no method example, which says the shapes and "
            "dtypes of its inputs"
        )
    return jax.eval_shape(functional(module).init, jax.random.key(0))


def _published() -> dict[str, Rules]:
    """All formats that there is a table of, by family."""
    package = importlib.import_module(__package__)
    return {
        f"{family} ({name.lower()})": rules
        for family, module in inspect.getmembers(package, inspect.ismodule)
        for name, rules in vars(module).items()
        if name.isupper() and isinstance(rules, list) and isinstance(rules[0], Rule)
    }
