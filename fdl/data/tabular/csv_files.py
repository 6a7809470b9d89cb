"""CSV files, read as text: one dict per row."""

import collections
import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from fdl.errors import UserError, near
from fdl.files import expanded, not_utf8, opened

Rows = list[dict[str, str]]

DELIMITERS = (",", ";", "\t", "|")


def read_csv(
    path: str | os.PathLike, *, delimiter: str | None = None, unnamed: bool = False
) -> Rows:
    """Reads a CSV file with a header; all values are text.

    Every line is a row: of one column, a line without any text is an empty value; of
    several, it is an error. Such lines at the end of the file do not count.

    Args:
      path: Path of the file, in UTF-8.
      delimiter: Character between two values. Default: whichever of comma, semicolon,
        tab and bar splits the header into the most names.
      unnamed: True to leave out columns without a name, as other programs write the
        number of a row; False to refuse them.

    Returns:
      One dict per row, all with the same keys in the order of the header.

    Raises:
      UserError: There is no such file, or it is not a table; the text names the line.
    """
    path = expanded(path)
    (_, header), *lines = csv_lines(path, delimiter=delimiter)
    names = [name.strip() for name in header]
    counts = collections.Counter(names)
    for i, name in enumerate(names, start=1):
        if not name and not unnamed:
            raise UserError(
                f"{path}: expected a name of column {i} in the header; pandas leaves "
                "out the numbers of the rows with to_csv(index=False)"
            )
        if name and counts[name] > 1:
            raise UserError(f"{path}: expected different names, got {name!r:.50} twice")
    if not lines:
        raise UserError(f"{path}: expected rows below the header, got none")
    places = [(i, name) for i, name in enumerate(names) if name]
    return [{name: values[i].strip() for i, name in places} for _, values in lines]


def csv_lines(
    path: Path, *, delimiter: str | None = None
) -> list[tuple[int, list[str]]]:
    """Lines of a CSV file, all with as many values, and their numbers; see `read_csv`.

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
        with (
            opened(path) as content,
            io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as file,
        ):
            delimiter = delimiter or _delimiter(file)
            # Without `strict`, an unclosed quote silently swallows the rest of the
            # file.
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            lines = [(reader.line_num, values) for values in reader]
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from None
    except csv.Error as error:
        line = reader.line_num if reader else 1
        raise UserError(f"{path}:{line}: {error}") from None
    while lines and not lines[-1][1]:
        lines.pop()
    if not lines:
        raise UserError(f"{path}: expected rows, got an empty file")
    return [*_of_one_width(path, lines)]


def _of_one_width(
    path: Path, lines: Sequence[tuple[int, list[str]]]
) -> Iterator[tuple[int, list[str]]]:
    """Lines with as many values as the first; an empty one is an empty value."""
    if not lines[0][1]:
        raise UserError(f"{path}:{lines[0][0]}: expected a header, got an empty line")
    width = len(lines[0][1])
    for line, values in lines:
        if not values and width == 1:
            values = [""]
        if len(values) != width:
            found = len(values) or "an empty line"
            raise UserError(
                f"{path}:{line}: expected {width} values, as in the first line, got "
                f"{found}"
            )
        yield line, values


def _delimiter(file: TextIO) -> str:
    """Delimiter that splits the header into the most names; rewinds the file."""

    def num_names(delimiter: str) -> int:
        file.seek(0)
        try:
            return len(next(csv.reader(file, delimiter=delimiter), []))
        except csv.Error:  # As a single value, a wide header is too long.
            return 0

    # The first of equals is taken: a single column is read with a comma.
    chosen = max(DELIMITERS, key=num_names)
    file.seek(0)
    return chosen


def _no_file(path: Path) -> str:
    """Error text for a path that is not a file."""
    if path.exists():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        return f"{path}: expected a CSV file, got {kind}"
    if not path.parent.is_dir():
        return f"{path}: no such file, nor a folder {path.parent}"
    files = [p.name for p in path.parent.glob("*.[ct]s[v]")]
    hint = f". {near(path.name, files)}" if files else ""
    return f"{path}: no such file{hint}"
