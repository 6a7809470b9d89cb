"""New examples, read from files: images, tables, arrays."""

import csv
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fdl.data import read_csv
from fdl.errors import UserError, near


def read_numeric_csv(
    path: pathlib.Path, num_columns: int, columns: Sequence[str] = ()
) -> np.ndarray:
    """Reads the numbers of a CSV file.

    Args:
      path: UTF-8, comma-separated, one example a line.
      num_columns: How many numbers an example has.
      columns: Their names, if known: then there has to be a header with all of them, in
        any order, and what else it has is ignored. Otherwise there are these columns
        and no others, below a header or none.

    Returns:
      Float64 [N, num_columns].

    Raises:
      UserError: A column is missing, or a text is where a number belongs.
    """
    rows = _rows(path)
    names = [name.strip() for name in rows[0][1]]
    if columns:
        for column in columns:
            if column not in names:
                raise UserError(
                    f"{path} has no column {column!r}. {near(column, names)}"
                )
        places = [names.index(column) for column in columns]
        rows = rows[1:]
    else:
        if len(names) != num_columns:
            raise UserError(
                f"{path} has {len(names)} columns, but the model takes {num_columns}"
            )
        places = list(range(num_columns))
        headed = all(_number(name) is None for name in names)
        names, rows = (
            (names, rows[1:])
            if headed
            else ([str(place + 1) for place in places], rows)
        )
    if not rows:
        raise UserError(f"{path} has no examples")
    return np.array([_numbers(path, names, places, *row) for row in rows])


def encode_csv(
    path: pathlib.Path, encode: Callable[[Sequence[Mapping[str, Any]]], np.ndarray]
) -> np.ndarray:
    """Reads the rows of a CSV file, of numbers and of text.

    Args:
      path: The file, whose first line names its columns.
      encode: Makes inputs [N, ...] of rows, dicts of text by the name of the column.

    Raises:
      UserError: It is no such file, or its rows are not what ``encode`` expects.
    """
    found = read_csv(path)
    try:
        return encode(found)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _rows(path: pathlib.Path) -> list[tuple[int, list[str]]]:
    """The lines that are not empty, with their numbers."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, row) for row in reader if any(row)]
    except FileNotFoundError:
        raise UserError(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no CSV file: {error}") from None
    if not rows:
        raise UserError(f"{path} is empty")
    return rows


def _numbers(path, names, places, line: int, row: Sequence[str]) -> list[float]:
    if len(row) != len(names):
        raise UserError(
            f"{path}, line {line}: {len(row)} values, expected {len(names)}"
        )
    values = []
    for place in places:
        number = _number(row[place])
        if number is None:
            text = row[place].strip()
            what = f"{text!r} is no number" if text else "the value is missing"
            raise UserError(f"{path}, line {line}, column {names[place]!r}: {what}")
        values.append(number)
    return values


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
