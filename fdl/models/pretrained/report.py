"""Report of a loaded checkpoint, and the error for one that does not fit."""

import dataclasses
import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fdl.errors import MAX_NAMES, UserError, shown


@dataclasses.dataclass(frozen=True)
class Report:
    """Result of matching a checkpoint with a module; ``str`` gives a summary.

    Attributes:
      source: Path of the checkpoint.
      format: Name of its format.
      prefix: Start of all names in the checkpoint, such as ``module.``, that the format
        does not have.
      matched: Paths of variables that were loaded.
      missing: Paths of variables that are not in the checkpoint.
      unexpected: Names in the checkpoint that match no variable.
      mismatched: Variables whose array has another shape, or integers in place of
        floats: (path, dtype and shape in the checkpoint, those of the variable).
      conflicting: Names of second copies of a tied variable whose values differ from
        the first: (name, path).
      cast: Variables that were cast: (path, dtype in the checkpoint, dtype of the
        variable).
      resized: Variables that were resized: (path, shape in the checkpoint, shape of
        the variable).
    """

    source: str = ""
    format: str = ""
    prefix: str = ""
    matched: list[str] = dataclasses.field(default_factory=list)
    missing: list[str] = dataclasses.field(default_factory=list)
    unexpected: list[str] = dataclasses.field(default_factory=list)
    mismatched: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    conflicting: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    cast: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    resized: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        """Summary with a line for each kind of difference."""
        casts = Counter(f"from {old} to {new}" for _, old, new in self.cast)
        differences = {
            "cast": [f"{count:,} {dtypes}" for dtypes, count in casts.items()],
            "resized": [f"{p} from {old} to {new}" for p, old, new in self.resized],
            "missing, initialised": self.missing,
            "mismatched, initialised": [_mismatch(*row) for row in self.mismatched],
            "ignored": [*self.unexpected, *(name for name, _ in self.conflicting)],
        }
        lines = [f"{self.title}: {len(self.matched):,} arrays matched"]
        for kind, rows in differences.items():
            if rows:
                lines.append(f"  {kind}: {listed(rows, 10)}")
        return "\n".join(lines)

    @property
    def title(self) -> str:
        """Source and format, for messages."""
        prefix = f" after {shown(self.prefix)!r}" if self.prefix else ""
        return f"{self.source} ({self.format}{prefix})"

    def without(self, allowed: Callable[[str], bool]) -> "Report":
        """Report without the differences whose path or name is allowed."""
        return dataclasses.replace(
            self,
            missing=[path for path in self.missing if not allowed(path)],
            unexpected=[name for name in self.unexpected if not allowed(name)],
            mismatched=[row for row in self.mismatched if not allowed(row[0])],
            conflicting=[row for row in self.conflicting if not allowed(row[0])],
        )


class WeightsError(UserError):
    """Raised for a checkpoint that does not fit a module.

    Attributes:
      report: Report of all differences.
    """

    def __init__(self, message: str, report: Report):
        super().__init__(message)
        self.report = report


def fault(report: Report, module: str, names: dict[str, str]) -> str | None:
    """Error message on all differences, one line; None where there are none.

    Args:
      report: Report without the differences that are allowed.
      module: Name of the module.
      names: Names in the checkpoint, by path in the variables.
    """

    def missing(path):
        name = names.get(path, path)
        # The search takes quadratic time: hostile files may have long and many names.
        close = difflib.get_close_matches(name[:200], unexpected[:MAX_NAMES], n=1)
        label = name if name == path else f"{path}, there {name}"
        return f"{label}, near {close[0]}" if close else label

    unexpected = [shown(name) for name in report.unexpected]
    faults: list[tuple[str, Sequence[Any], list[str]]] = [
        ("missing", report.missing, [missing(p) for p in report.missing[:3]]),
        ("unexpected", report.unexpected, unexpected[:3]),
        (
            "mismatched",
            report.mismatched,
            [_mismatch(*row) for row in report.mismatched[:3]],
        ),
        (
            "conflicting",
            report.conflicting,
            [f"{name} with {path}" for name, path in report.conflicting[:3]],
        ),
    ]
    texts = [
        f"{len(rows):,} {kind}: {listed(first, 3, len(rows))}"
        for kind, rows, first in faults
        if rows
    ]
    if not texts:
        return None
    differing = [
        *report.missing,
        *(path for path, *_ in report.mismatched),
        *report.unexpected,
        *(name for name, _ in report.conflicting),
    ]
    return (
        f"{report.title} does not fit {module}: "
        f"{len(report.matched):,} arrays match; {'; '.join(texts)}; to load it "
        f"anyway, allow its differences: allow={_patterns(differing)}"
    )


def _patterns(names: Sequence[str]) -> str:
    """The first few of the patterns that match all of some names, as a text."""
    # Glob patterns would take a bracket in a name for a set of characters.
    names = [re.sub(r"[*?[]", "?", name) for name in names]
    if len(names) > 3:  # Of the same parent, such as `params/head/*`.
        names = [*dict.fromkeys(re.sub(r"[^/.]+$", "*", name) for name in names)]
    more = ", ..." if len(names) > 3 else ""
    return f"[{', '.join(f'{shown(name)!r}' for name in names[:3])}{more}]"


def listed(names: Iterable[str], most: int, count: int | None = None) -> str:
    """First names of a list and the number of the others, as a text.

    Args:
      names: Names, or only the first ones.
      most: Number of names to show.
      count: Number of all names; that of `names` where None.
    """
    names = [*names]
    more = (len(names) if count is None else count) - most
    text = ", ".join(shown(name) for name in names[:most])
    return f"{text} and {more:,} more" if more > 0 else text


def _mismatch(path: str, actual: str, expected: str) -> str:
    return f"{path} is {actual}, expected {expected}"
