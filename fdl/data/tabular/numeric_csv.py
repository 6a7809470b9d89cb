"""CSV files of numbers, with a header or without one."""

import pathlib

import numpy as np

from fdl.data.tabular.column_stats import MISSING, is_number
from fdl.data.tabular.csv_files import csv_lines
from fdl.errors import UserError


def read_numeric_csv(path: pathlib.Path, num_columns: int) -> np.ndarray:
    """Reads the numbers of a CSV file, below a header or none.

    Args:
      path: Path of the file, one example a line; see `read_csv`.
      num_columns: Number of values of an example, and so of columns.

    Returns:
      Float64 [N, num_columns].

    Raises:
      UserError: There are other columns, or a text is where a number belongs.
    """
    lines = csv_lines(path)
    names = [name.strip() for name in lines[0][1]]
    if len(names) != num_columns:
        raise UserError(
            f"{path}: expected {num_columns} columns, as the model takes, got "
            f"{len(names)}"
        )
    if all(map(_is_name, names)):
        lines = lines[1:]
    else:  # No header: columns are called by their number.
        names = [str(i + 1) for i in range(num_columns)]
    if not lines:
        raise UserError(f"{path}: expected examples below the header, got none")
    for line, values in lines:
        for name, text in zip(names, values, strict=True):
            if not is_number(text):
                raise UserError(
                    f"{path}:{line}: column {name!r:.50}: expected a number, got "
                    f"{text.strip()!r:.50}"
                )
    return np.array([[float(text) for text in values] for _, values in lines])


def _is_name(text: str) -> bool:
    """True for the name of a column: a text, and none of a missing number."""
    try:
        float(text)
    except ValueError:
        return text not in MISSING
    return False
