"""Reading of texts from text, CSV and JSON lines files, so that none is lost."""

import pathlib
from typing import Any

from fdl.data.tabular.csv_files import csv_lines
from fdl.errors import UserError, near
from fdl.files import not_utf8, opened, parse_object

SUFFIXES = (".txt", ".csv", ".jsonl")


def read_texts(path: pathlib.Path, column: str) -> list[str]:
    """Texts of a file in UTF-8, one of each line or row.

    * ``.txt``: each line is a text, also an empty one; the last may lack its newline.
    * ``.csv``: with a header, and the texts in a column; they may have several lines.
    * ``.jsonl``: each line is an object with the text under a key; an empty line is an
      empty text.

    Args:
      path: Path of the file.
      column: Name of the column, or the key.

    Raises:
      UserError: The file cannot be read, has no such column, or is empty; the text
        names the line.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _of_csv(path, column)
    lines = _lines(path)
    if suffix == ".jsonl":
        return [_of_json(path, i, line, column) for i, line in enumerate(lines, 1)]
    return lines


def read_messages(path: pathlib.Path) -> list[dict[str, Any]]:
    """Conversations of JSON lines: objects with a list under the key ``messages``.

    Args:
      path: Path of the file.

    Returns:
      The objects.

    Raises:
      UserError: The file cannot be read, or a line is no such object; the text names
        the line.
    """
    rows = [_object(path, i, line) for i, line in enumerate(_lines(path), 1)]
    for i, row in enumerate(rows, 1):
        if not isinstance(row.get("messages"), list):
            raise UserError(
                f"{path}:{i}: expected a list of messages under the key 'messages'. "
                f"{near('messages', row)}"
            )
    return rows


def _of_csv(path: pathlib.Path, column: str) -> list[str]:
    """Texts of a column; not stripped, as spaces may matter."""
    (_, header), *rows = csv_lines(path)
    names = [name.strip() for name in header]
    if names.count(column) != 1:
        raise UserError(
            f"{path}: expected one column {column!r}, with the texts; the option "
            f"column names another. {near(column, names)}"
        )
    if not rows:
        raise UserError(f"{path}: expected rows below the header, got none")
    index = names.index(column)
    return [values[index] for _, values in rows]


def _of_json(path: pathlib.Path, number: int, line: str, column: str) -> str:
    """Text of a JSON object in a line."""
    if not line.strip():
        return ""
    content = _object(path, number, line)
    if column not in content:
        raise UserError(
            f"{path}:{number}: expected a key {column!r}, with the text; the "
            f"option column names another. {near(column, content)}"
        )
    text = content[column]
    if not isinstance(text, str):
        found = f"{text!r:.50}"
        raise UserError(f"{path}:{number}: {column!r}: expected a text, got {found}")
    return text


def _object(path: pathlib.Path, number: int, line: str) -> dict[str, Any]:
    """JSON object of a line."""
    try:
        return parse_object(line.encode())
    except ValueError:
        raise UserError(
            f"{path}:{number}: expected a JSON object, got {line!r:.50}"
        ) from None


def _lines(path: pathlib.Path) -> list[str]:
    """Lines of a text file, without their ends, which are those of Unix or Windows."""
    with opened(path) as file:
        content = file.read()
    try:
        # Not `splitlines`, for which the marks of a page or a paragraph are ends too.
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from None
    if not lines[-1]:
        lines.pop()
    if not lines:
        raise UserError(f"{path}: expected lines, got an empty file")
    return [line.removesuffix("\r") for line in lines]
