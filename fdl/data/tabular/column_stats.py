"""Statistics of the columns of a table, by which all its rows are encoded."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.data.statistics import mean_and_std
from fdl.errors import UserError

# Default texts of a missing value.
MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL")

# Numbers and dates of spreadsheets, which are no numbers as Python writes them.
_SIGN, _GROUPED = "[-+−]?", r"\d{1,3}([.,' \u00a0\u202f]\d{3})+([.,]\d+)?|\d*,\d+|\d+,"
_PLAIN = rf"({_GROUPED}|\d+\.?\d*|\.\d+)"
NOTATIONS = {
    "a per cent": rf"{_SIGN}{_PLAIN}\s?%",
    "an amount of money": rf"{_SIGN}([$€£¥]\s?{_PLAIN}|{_PLAIN}\s?[$€£¥])",
    "a date": r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ].*)?",
    "a time": r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?",
    "a hexadecimal number": r"0[xX][0-9a-fA-F]+",
    "a number with a comma or in groups": rf"{_SIGN}({_GROUPED})([eE][-+]?\d+)?",
    "a number with another minus": rf"−{_PLAIN}",
}
MAX_NUMBER = float(np.finfo(np.float32).max)

Row = Mapping[str, Any]  # Text, numbers or None, by name of the column.


class Number(NamedTuple):
    """Numeric column: (x − mean) / std, and an indicator of missing values.

    Attributes:
      name: Name of the column.
      mean: Mean of the values that are present; it replaces missing ones.
      std: Standard deviation after that replacement; 1 if the column is constant.
      indicator: True if a second feature marks missing values.
    """

    name: str
    mean: float
    std: float
    indicator: bool


class Category(NamedTuple):
    """Categorical column.

    Attributes:
      name: Name of the column.
      values: Categories, sorted.
      fill: Most frequent category; it replaces missing values.
      indicator: True if a further feature marks missing values.
    """

    name: str
    values: tuple[str, ...]
    fill: str
    indicator: bool


Column = Number | Category


def learn_number(name: str, values: Sequence[float]) -> Number:
    """Fits a numeric column to numbers, float [N], with NaN for missing ones."""
    numbers = np.asarray(values, np.float64)
    # The training part may have none at all: the test part may hold all its numbers.
    mean, std = mean_and_std(numbers)
    return Number(name, float(mean), float(std), bool(np.isnan(numbers).any()))


def learn_category(name: str, values: Sequence[str | None]) -> Category:
    """Fits a categorical column to texts, with None for missing ones."""
    present = [value for value in values if value is not None]
    unique = sorted(set(present))
    counts = [present.count(value) for value in unique]
    # Ties go to the first in alphabetical order, as `argmax` takes the first maximum.
    fill = unique[int(np.argmax(counts))] if unique else ""
    return Category(name, tuple(unique), fill, len(present) < len(values))


def numbers_of(
    rows: Sequence[Row], name: str, missing: Sequence[str] = MISSING
) -> list[float]:
    """Values of a column as numbers, with NaN for missing ones.

    Raises:
      UserError: A value is not a number; the text names row and column.
    """
    return [_number(row, name, i, missing) for i, row in enumerate(rows, start=1)]


def categories_of(
    rows: Sequence[Row], name: str, missing: Sequence[str] = MISSING
) -> list[str | None]:
    """Values of a column as texts, with None for missing ones."""
    return [_text(row, name, missing) for row in rows]


def is_number(text: str) -> bool:
    """True if a text is a finite number.

    Example:
      >>> is_number("-1e3"), is_number("1,000"), is_number("inf"), is_number("1_0")
      (True, False, False, False)
    """
    try:
        # `float` accepts underscores, as in literals of Python.
        return math.isfinite(float(text)) and "_" not in text
    except ValueError:
        return False


def notation(text: str) -> str | None:
    """Name of the notation of a number or date that is not a plain number, or None.

    Example:
      >>> notation("1.234,5"), notation("31.12.2024"), notation("12 %")
      ('a number with a comma or in groups', 'a date', 'a per cent')
      >>> notation("1234.5"), notation("18-25"), notation("B 52")
      (None, None, None)
    """
    if is_number(text):  # A period may also stand between groups.
        return None
    kinds = NOTATIONS.items()
    return next((kind for kind, form in kinds if re.fullmatch(form, text)), None)


def _text(row: Row, name: str, missing: Sequence[str]) -> str | None:
    value = row[name]
    text = "" if value is None else str(value).strip()
    return None if text in missing else text


def _number(row: Row, name: str, index: int, missing: Sequence[str]) -> float:
    text = _text(row, name, missing)
    if text is None:
        return math.nan
    if not is_number(text):
        raise UserError(
            f"row {index}, column {name!r}: expected a number, got {text!r:.50}; if "
            "the column is categorical, add it to categories"
        )
    # Statistics and features of larger ones would be infinite.
    if abs(float(text)) > MAX_NUMBER:
        raise UserError(
            f"row {index}, column {name!r}: expected a number within "
            f"{MAX_NUMBER:.2g}, as float32 holds, got {text!r}"
        )
    return float(text)
