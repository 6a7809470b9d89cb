"""Detection of the format of a checkpoint."""

import importlib
import inspect
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

import flax.linen as nn
import jax

from fdl.errors import UserError, near
from fdl.models.functional import functional
from fdl.models.pretrained.convert import flatten, names_of, stand_for
from fdl.models.pretrained.report import Report, WeightsError, listed
from fdl.models.pretrained.rules import Rule, Rules
from fdl.types import PyTree, Variables

MAX_PREFIXES = 4  # Of wrappers inside each other.


def found(
    format: str | Rules | None,
    module: nn.Module,
    like: PyTree,
    names: Iterable[str],
    path: str | os.PathLike[str],
) -> tuple[str, Rules, str]:
    """Format of a checkpoint: the requested one, or the one with the most matches.

    Wrappers such as PyTorch's ``DataParallel``, ``torch.compile`` and Lightning put a
    prefix in front of all names: it is left out where no name matches with it.

    Args:
      format: Name of a format, or rules; None to detect it.
      module: Module that the checkpoint is loaded into.
      like: Variables of the module, or their shapes.
      names: Names of the arrays in the checkpoint.
      path: Path of the checkpoint, for error messages.

    Returns:
      Name and rules of the format, and the prefix.

    Raises:
      UserError: The requested format is unknown.
      WeightsError: No name in the checkpoint matches.
    """
    formats, leaves, names = known(module, like), flatten(like), [*names]
    candidates = formats if format is None else dict([named(format, formats)])
    for prefix in _prefixes(names):
        inner = [name.removeprefix(prefix) for name in names]
        # Names of variables that the module lacks, such as a head's, do not count.
        scores = {
            label: sum(
                not leaves.keys().isdisjoint(paths)
                for _, paths in stand_for(inner, rules).values()
            )
            for label, rules in candidates.items()
        }
        label = max(scores, key=lambda label: scores[label])
        if scores[label] > 0:
            return label, candidates[label], prefix
    # Nothing matches: the tables of all families tell which one the checkpoint is of.
    sample = names[:: len(names) // 1000 + 1]
    counts = {
        label: len(stand_for([x.removeprefix(prefix) for x in sample], rules))
        for label, rules in {**formats, **_published()}.items()
        for prefix in _prefixes(names)
    }
    likely, tried = (
        max(counts, key=lambda label: counts[label]),
        " or ".join(candidates),
    )
    share = counts[likely] / max(len(sample), 1)
    raise WeightsError(
        f"{os.fspath(path)} holds other weights: none of its {len(names):,} arrays "
        f"({listed(names, 3)}) is named as one of {type(module).__name__} in format "
        f"{tried}" + (f"; they look like {likely}" if share > 0.5 else ""),
        Report(os.fspath(path), label, missing=[*leaves], unexpected=names),
    )


def _prefixes(names: Sequence[str]) -> Iterator[str]:
    """Prefixes of all names, up to a dot: none, then the first one, and so on."""
    yield (prefix := "")
    # What the first and the last name of an order share, all names share.
    ends = min(names, default=""), max(names, default="")
    parts = zip(*(name.split(".")[:-1] for name in ends), strict=False)
    for first, last in itertools.islice(parts, MAX_PREFIXES):
        if first != last:
            return
        yield (prefix := f"{prefix}{first}.")


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


def aliases(name: str, rules: Rules, prefix: str = "") -> list[str]:
    """Name or path itself, and its counterparts in the checkpoint or the variables.

    Args:
      name: Name in the checkpoint, or path in the variables.
      rules: Conversion rules of the format.
      prefix: Start of the names in the checkpoint that the rules do not have.
    """
    inner = name.removeprefix(prefix)
    _, paths = stand_for([inner], rules).get(inner, (None, []))
    theirs = [inner, *names_of(inner, rules)]
    return [name, *theirs, *(f"{prefix}{other}" for other in theirs), *paths]


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
