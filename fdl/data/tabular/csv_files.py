"""CSV files, read as text: one dict a row."""

import csv
import os
from pathlib import Path
from typing import TextIO

from fdl.errors import UserError, near

Rows = list[dict[str, str]]

DELIMITERS = (",", ";", "\t", "|")


def read_csv(path: str | os.PathLike, *, delimiter: str | None = None) -> Rows:
    """Reads a CSV file whose first line names its columns; all values are text.

    Args:
      path: The file, in UTF-8. Lines without any value count for nothing.
      delimiter: What stands between two values. Default: of comma, semicolon, tab and
        bar the one that divides the first line into most names.

    Returns:
      A dict for each row, all with the same names in the same order.

    Raises:
      UserError: There is no such file, or it is no table; the line is named.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(_no_file(path))
    if delimiter is not None and len(delimiter) != 1:
        raise UserError(f"delimiter is {delimiter!r}, but has to be one character.")
    reader = None
    try:
        # Spreadsheets like to put a mark before the first name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            delimiter = delimiter or _delimiter(file)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            lines = [(reader.line_num, values) for values in reader if any(values)]
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is no text in UTF-8: byte {error.start} is "
            f"{error.object[error.start]:#04x}."
        ) from None
    except csv.Error as error:
        line = reader.line_num if reader else 1
        raise UserError(f"{path}:{line}: {error}.") from None
    if not lines:
        raise UserError(f"{path} is empty.")
    names = _names(path, lines[0][1])
    for line, values in lines[1:]:
        if len(values) != len(names):
            raise UserError(
                f"{path}:{line} has {len(values)} values, but there are "
                f"{len(names)} columns."
            )
    if len(lines) == 1:
        raise UserError(f"{path} has names of columns, but no rows.")
    return [
        dict(zip(names, (value.strip() for value in values), strict=True))
        for _, values in lines[1:]
    ]


def _names(path: Path, header: list[str]) -> list[str]:
    names = [name.strip() for name in header]
    for place, name in enumerate(names):
        if not name:
            raise UserError(f"{path}: column {place + 1} has no name.")
        if name in names[:place]:
            raise UserError(f"{path}: two columns are called {name!r}.")
    return names


def _delimiter(file: TextIO) -> str:
    """What divides the first line into most names; the file is at its start again."""

    def num_names(delimiter: str) -> int:
        file.seek(0)
        lines = csv.reader(file, delimiter=delimiter)
        return len(next(filter(any, lines), []))

    chosen = max(DELIMITERS, key=num_names)
    file.seek(0)
    return chosen


def _no_file(path: Path) -> str:
    if path.exists():
        return f"{path} is a folder, not a CSV file."
    if not path.parent.is_dir():
        return f"There is no {path}: there is not even a folder {path.parent}."
    files = [p.name for p in path.parent.glob("*.[ct]s[v]")]
    hint = f" {near(path.name, files)}" if files else ""
    return f"There is no {path}.{hint}"
