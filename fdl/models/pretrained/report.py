"""What became of a checkpoint, and the error where it does not fit."""

import dataclasses
import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fdl.errors import UserError


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of a checkpoint; its text is meant to be read.

    Attributes:
      source: Where it was read.
      format: How it is named and laid out.
      matched: Paths of ours that were found in it.
      missing: Paths of ours that were not.
      unexpected: Names of theirs that no path asked for.
      mismatched: What has another shape, or holds whole numbers: (path, what is there,
        what is expected).
      conflicting: Names of theirs for a path that another name has filled with other
        numbers: (name, path).
      cast: (path, dtype that is there, dtype of ours).
      resized: (path, shape that is there, shape of ours).
    """

    source: str = ""
    format: str = ""
    matched: list[str] = dataclasses.field(default_factory=list)
    missing: list[str] = dataclasses.field(default_factory=list)
    unexpected: list[str] = dataclasses.field(default_factory=list)
    mismatched: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    conflicting: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    cast: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)
    resized: list[tuple[str, str, str]] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        """A line for each thing that there is to say."""
        dtypes = Counter(f"from {there} to {ours}" for _, there, ours in self.cast)
        rows = {
            "cast": [f"{count:,} {what}" for what, count in dtypes.items()],
            "resized": [f"{p} from {old} to {new}" for p, old, new in self.resized],
            "missing, as initialised": self.missing,
            "of another shape, as initialised": [_differs(*r) for r in self.mismatched],
            "left over": [*self.unexpected, *(name for name, _ in self.conflicting)],
        }
        top = f"{self.source} ({self.format}): {len(self.matched):,} arrays matched"
        lines = [f"  {what}: {listed(row, 10)}" for what, row in rows.items() if row]
        return "\n".join([top, *lines])

    def without(self, allowed: Callable[[str], bool]) -> "Report":
        """The same, without those faults whose path or name is allowed."""
        return dataclasses.replace(
            self,
            missing=[path for path in self.missing if not allowed(path)],
            unexpected=[name for name in self.unexpected if not allowed(name)],
            mismatched=[row for row in self.mismatched if not allowed(row[0])],
            conflicting=[row for row in self.conflicting if not allowed(row[0])],
        )


class WeightsError(UserError):
    """A checkpoint that does not fit.

    Attributes:
      report: What became of it.
    """

    def __init__(self, message: str, report: Report):
        super().__init__(message)
        self.report = report


def fault(report: Report, module: str, names: dict[str, str]) -> str | None:
    """One line on all that does not fit; None where everything does.

    Args:
      report: Without what is allowed.
      module: Name of the module.
      names: What paths of ours are called there.
    """

    def missing(path):
        name = names.get(path, path)
        near = difflib.get_close_matches(name[:200], left[:2000], n=1)
        calls = name if name == path else f"{path}, there {name}"
        return f"{calls}, near {near[0]}" if near else calls

    left = [shown(name) for name in report.unexpected]
    faults: list[tuple[str, Sequence[Any], list[str]]] = [
        ("missing", report.missing, [missing(p) for p in report.missing[:3]]),
        ("left over", report.unexpected, left[:3]),
        (
            "of another shape",
            report.mismatched,
            [_differs(*row) for row in report.mismatched[:3]],
        ),
        (
            "at odds",
            report.conflicting,
            [f"{name} with what {path} has" for name, path in report.conflicting[:3]],
        ),
    ]
    found = [
        f"{len(rows):,} {what}: {listed(first, 3, len(rows))}"
        for what, rows, first in faults
        if rows
    ]
    if not found:
        return None
    left_out = [name for name, _ in report.conflicting]
    shapes = [path for path, *_ in report.mismatched]
    first = [*report.missing, *shapes, *report.unexpected, *left_out][0]
    return (
        f"{report.source} ({report.format}) does not fit {module}: "
        f"{len(report.matched):,} arrays match; {'; '.join(found)}. "
        f"What may differ is allowed by name or pattern: allow=['{shown(first)}']"
    )


def listed(names: Iterable[str], most: int, count: int | None = None) -> str:
    """The first names, and how many more there are."""
    names = [*names]
    more = (len(names) if count is None else count) - most
    text = ", ".join(shown(name) for name in names[:most])
    return f"{text} and {more:,} more" if more > 0 else text


def shown(name: str) -> str:
    """A name of theirs that is safe to print, and not too long."""
    name = name if name.isprintable() else repr(name)
    return name if len(name) <= 200 else f"{name[:200]}…"


def _differs(path: str, there: str, ours: str) -> str:
    return f"{path} is {there}, expected {ours}"
