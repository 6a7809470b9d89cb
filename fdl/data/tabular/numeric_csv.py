"""CSV files of numbers, with a header or without one."""

import math
import pathlib
from collections.abc import Sequence

import numpy as np

from fdl.data.tabular.csv_files import csv_lines
from fdl.errors import UserError, near


def read_numeric_csv(
    path: pathlib.Path, num_columns: int, columns: Sequence[str] = ()
) -> np.ndarray:
    """Reads the numbers of a CSV file.

    Args:
      path: Path of the file, one example a line; see `read_csv`.
      num_columns: Number of values of an example.
      columns: Names of the columns, if they are known: then the header has to have all
        of them, in any order, and other columns are ignored. Otherwise there are these
        columns and no others, below a header or none.

    Returns:
      Float64 [N, num_columns].

    Raises:
      UserError: A column is missing, or a text is where a number belongs.
    """
    lines = csv_lines(path)
    names = [name.strip() for name in lines[0][1]]
    if columns:
        for column in columns:
            if column not in names:
                raise UserError(
                    f"{path}: expected a column {column!r}. {near(column, names)}"
                )
        indices = [names.index(column) for column in columns]
        lines = lines[1:]
    else:
        if len(names) != num_columns:
            raise UserError(
                f"{path}: expected {num_columns} columns, as the model takes, got "
                f"{len(names)}"
            )
        indices = list(range(num_columns))
        if all(_number(name) is None for name in names):
            lines = lines[1:]
        else:  # No header: columns are called by their number.
            names = [str(i + 1) for i in indices]
    if not lines:
        raise UserError(f"{path}: expected examples below the header, got none")
    return np.array([_numbers(path, names, indices, *line) for line in lines])


def _numbers(
    path: pathlib.Path,
    names: Sequence[str],
    indices: Sequence[int],
    line: int,
    values: Sequence[str],
) -> list[float]:
    if len(values) != len(names):
        raise UserError(
            f"{path}:{line}: expected {len(names)} values, got {len(values)}"
        )
    numbers = []
    for i in indices:
        number = _number(values[i])
        if number is None:
            raise UserError(
                f"{path}:{line}: column {names[i]!r}: expected a number, got "
                f"{values[i].strip()!r}"
            )
        numbers.append(number)
    return numbers


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
