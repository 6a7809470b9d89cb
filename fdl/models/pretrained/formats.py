"""Detection of the format of a checkpoint."""

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
    """Format of a checkpoint: the requested one, or the one with the most matches.

    Args:
      format: Name of a format, or rules; None to detect it.
      module: Module that the checkpoint is loaded into.
      like: Variables of the module, or their shapes.
      names: Names of the arrays in the checkpoint.
      path: Path of the checkpoint, for error messages.

    Returns:
      Name and rules of the format.

    Raises:
      UserError: The requested format is unknown.
      WeightsError: No name in the checkpoint matches.
    """
    formats, leaves, names = known(module, like), flatten(like), [*names]

    # Names of variables that the module lacks, such as a head's, do not count.
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
    # Nothing matches: the tables of all families tell which one the checkpoint is of.
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
    """Name and rules of a format.

    Args:
      format: Name of a format, or rules.
      formats: Rules of the known formats by name.

    Raises:
      UserError: There is no format of that name.
    """
    if not isinstance(format, str):
        return "own rules", format
    if format not in formats:
        raise UserError(f"format={format!r}: no such format. {near(format, formats)}")
    return format, formats[format]


def known(module: nn.Module, like: PyTree) -> dict[str, Rules]:
    """Rules of all formats that a module supports by name, ``"fdl"`` first.

    Args:
      module: Module, whose method ``checkpoints`` returns its published formats.
      like: Variables of the module, or their shapes.
    """
    own = [Rule(path, path) for path in flatten(like)]
    return {"fdl": own, **getattr(module, "checkpoints", dict)()}


def aliases(name: str, rules: Rules) -> list[str]:
    """Name or path itself, and its counterparts in the checkpoint or the variables.

    Args:
      name: Name in the checkpoint, or path in the variables.
      rules: Conversion rules of the format.
    """
    _, paths = stand_for([name], rules).get(name, (None, []))
    return [name, *names_of(name, rules), *paths]


def shapes(module: nn.Module) -> Variables:
    """Shapes and dtypes of the variables of a module.

    Raises:
      UserError: The module has no method ``example``.
    """
    if not hasattr(module, "example"):
        raise UserError(
            f"{type(module).__name__} has no method example: expected one that returns "
            "the shapes and dtypes of its inputs"
        )
    return jax.eval_shape(functional(module).init, jax.random.key(0))


def _published() -> dict[str, Rules]:
    """Rules of all published formats that are constants, by family and name."""
    package = importlib.import_module(__package__)
    return {
        f"{family} ({name.lower()})": rules
        for family, module in inspect.getmembers(package, inspect.ismodule)
        for name, rules in vars(module).items()
        if name.isupper() and isinstance(rules, list) and isinstance(rules[0], Rule)
    }
