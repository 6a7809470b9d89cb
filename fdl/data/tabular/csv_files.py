"""CSV files, read as text: one dict per row."""

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from fdl.errors import UserError, near
from fdl.files import expanded

Rows = list[dict[str, str]]

DELIMITERS = (",", ";", "\t", "|")


def read_csv(path: str | os.PathLike, *, delimiter: str | None = None) -> Rows:
    """Reads a CSV file with a header; all values are text.

    Args:
      path: Path of the file, in UTF-8. Lines without any value are skipped.
      delimiter: Character between two values. Default: whichever of comma, semicolon,
        tab and bar splits the header into the most names.

    Returns:
      One dict per row, all with the same keys in the order of the header.

    Raises:
      UserError: There is no such file, or it is not a table; the text names the line.
    """
    path = expanded(path)
    lines = csv_lines(path, delimiter=delimiter)
    names = _names(path, lines[0][1])
    for line, values in lines[1:]:
        if len(values) != len(names):
            raise UserError(
                f"{path}:{line}: expected {len(names)} values, as in the header, got "
                f"{len(values)}"
            )
    if len(lines) == 1:
        raise UserError(f"{path}: expected rows below the header, got none")
    return [
        dict(zip(names, (value.strip() for value in values), strict=True))
        for _, values in lines[1:]
    ]


def csv_lines(
    path: Path, *, delimiter: str | None = None
) -> list[tuple[int, list[str]]]:
    """Lines of a CSV file that have any value, with their numbers; see `read_csv`.

    Raises:
      UserError: There is no such file, it is not a table, or it is empty.
    """
    if not path.is_file():
        raise UserError(_no_file(path))
    if delimiter is not None and len(delimiter) != 1:
        raise UserError(f"delimiter={delimiter!r}: expected one character")
    reader = None
    try:
        # Spreadsheets start a file with a byte order mark, which would otherwise become
        # part of the first name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            delimiter = delimiter or _delimiter(file)
            # Without `strict`, an unclosed quote silently swallows the rest of the
            # file.
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            lines = [(reader.line_num, values) for values in reader if any(values)]
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: expected text in UTF-8, got "
            f"{error.object[error.start]:#04x} at byte {error.start}"
        ) from None
    except csv.Error as error:
        line = reader.line_num if reader else 1
        raise UserError(f"{path}:{line}: {error}") from None
    if not lines:
        raise UserError(f"{path}: expected rows, got an empty file")
    return lines


def encode_csv(
    path: Path, encode: Callable[[Sequence[Mapping[str, Any]]], np.ndarray]
) -> np.ndarray:
    """Reads the rows of a CSV file, of numbers and of text, and encodes them.

    Args:
      path: Path of the file, which has a header.
      encode: Function of rows, dicts of text by the name of the column, to inputs
        [N, ...].

    Raises:
      UserError: It is no such file, or its rows are not what ``encode`` expects.
    """
    rows = read_csv(path)
    try:
        return encode(rows)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _names(path: Path, header: list[str]) -> list[str]:
    names = [name.strip() for name in header]
    for i, name in enumerate(names):
        if not name:
            raise UserError(f"{path}: expected a name of column {i + 1} in the header")
        if name in names[:i]:
            raise UserError(f"{path}: expected different names, got {name!r} twice")
    return names


def _delimiter(file: TextIO) -> str:
    """Delimiter that splits the header into the most names; rewinds the file."""

    def num_names(delimiter: str) -> int:
        file.seek(0)
        lines = csv.reader(file, delimiter=delimiter)
        return len(next(filter(any, lines), []))

    # The first of equals is taken: a single column is read with a comma.
    chosen = max(DELIMITERS, key=num_names)
    file.seek(0)
    return chosen


def _no_file(path: Path) -> str:
    """Error text for a path that is not a file."""
    if path.exists():
        return f"{path}: expected a CSV file, got a folder"
    if not path.parent.is_dir():
        return f"{path}: no such file, nor a folder {path.parent}"
    files = [p.name for p in path.parent.glob("*.[ct]s[v]")]
    hint = f". {near(path.name, files)}" if files else ""
    return f"{path}: no such file{hint}"
