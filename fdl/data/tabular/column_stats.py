"""What is learned of the columns of a table, so that all rows are treated alike."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.errors import UserError

MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL")

Row = Mapping[str, Any]  # By name of the column; text, numbers, or None.


class Number(NamedTuple):
    """A column of numbers: (x − mean) / std, and whether x was missing.

    Attributes:
      name: Of the column.
      mean: Of those that are there; what is missing becomes this.
      std: Standard deviation once missing ones have become the mean; one if it is 0.
      indicator: Whether a second feature says what was missing.
    """

    name: str
    mean: float
    std: float
    indicator: bool


class Category(NamedTuple):
    """A column of categories.

    Attributes:
      name: Of the column.
      values: The categories, sorted.
      fill: The most frequent one; what is missing becomes this.
      indicator: Whether a feature says what was missing.
    """

    name: str
    values: tuple[str, ...]
    fill: str
    indicator: bool


Column = Number | Category


def learn_number(name: str, values: Sequence[float]) -> Number:
    """Learns from numbers, of which those that are missing are NaN."""
    found = np.asarray(values, np.float64)
    missing = np.isnan(found)
    if missing.all():
        return Number(name, 0.0, 1.0, True)
    there = found[~missing]
    # Rounding leaves a constant beside its mean, and with a tiny deviation, which would
    # blow it up.
    constant = there.min() == there.max()
    mean = float(there[0] if constant else there.mean())
    std = 1.0 if constant else float(np.where(missing, mean, found).std())
    return Number(name, mean, std, bool(missing.any()))


def learn_category(name: str, values: Sequence[str | None]) -> Category:
    """Learns from categories, of which those that are missing are None."""
    there = [value for value in values if value is not None]
    known = sorted(set(there))
    counts = [there.count(value) for value in known]
    # Of equally frequent ones it is the first in the alphabet.
    fill = known[int(np.argmax(counts))] if known else ""
    return Category(name, tuple(known), fill, len(there) < len(values))


def numbers_of(
    rows: Sequence[Row], name: str, missing: Sequence[str] = MISSING
) -> list[float]:
    """A column as numbers, NaN where one is missing.

    Raises:
      UserError: A text stands where a number belongs; row and column are named.
    """
    return [_number(row, name, i, missing) for i, row in enumerate(rows, start=1)]


def categories_of(
    rows: Sequence[Row], name: str, missing: Sequence[str] = MISSING
) -> list[str | None]:
    """A column as text, None where one is missing."""
    return [_text(row, name, missing) for row in rows]


def is_number(text: str) -> bool:
    """Whether a text stands for a finite number.

    Example:
      >>> is_number("-1e3"), is_number("1,000"), is_number("inf"), is_number("1_0")
      (True, False, False, False)
    """
    try:
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def _text(row: Row, name: str, missing: Sequence[str]) -> str | None:
    value = row[name]
    text = "" if value is None else str(value).strip()
    return None if text in missing else text


def _number(row: Row, name: str, place: int, missing: Sequence[str]) -> float:
    text = _text(row, name, missing)
    if text is None:
        return math.nan
    if not is_number(text):
        raise UserError(
            f"row {place}, column {name!r}: {text!r} is no number. If the column holds "
            "categories, name it among them."
        )
    return float(text)
