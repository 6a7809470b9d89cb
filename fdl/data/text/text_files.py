"""Documents of files: text, JSON lines, CSV and Parquet, read piece by piece."""

import contextlib
import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fdl.errors import UserError, near, reason
from fdl.files import expanded, opened, parse_object

# Characters of a piece of a text file, up to the end of a line, which is no farther.
PIECE = 1 << 16
ROWS = 256  # Of a Parquet file, that are read at once.
# Field of a CSV file, in characters; Python's limit is 128 Ki.
MAX_FIELD = 1 << 30

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Piece(NamedTuple):
    """Piece of a document.

    Attributes:
      text: Text.
      is_last: Whether the document ends with it.
      place: Where it is from, for errors.
      position: Number of bytes that were read so far.
    """

    text: str
    is_last: bool
    place: str
    position: int


def files_of(paths: Paths) -> list[Path]:
    """Files of paths: of a folder all in it, by name, but for hidden ones.

    Raises:
      UserError: There is no such file or folder, or no file in it.
    """
    if isinstance(paths, str | os.PathLike):
        paths = [paths]
    if not len(paths):
        raise UserError("paths=[]: expected at least one")
    found: list[Path] = []
    for path in map(expanded, paths):
        if not path.is_dir():
            if not path.exists():
                raise UserError(f"{path}: no such file or folder")
            found.append(path)
            continue
        inside = sorted(p for p in path.rglob("[!.]*") if _is_shown(p, path))
        if not inside:
            raise UserError(f"{path}: expected files, got an empty folder")
        found += inside
    return found


def pieces_of_files(paths: Sequence[Path], column: str) -> Iterator[Piece]:
    """Pieces of the documents of files; see `corpus`.

    Raises:
      UserError: A file is not what its name says, or has no such column.
    """
    before = 0
    for path in paths:
        read = READERS.get(path.suffix.lower(), _text)
        for piece in read(path, column):
            yield piece._replace(position=before + piece.position)
        before += path.stat().st_size


def pieces_of_texts(texts: np.ndarray) -> Iterator[Piece]:
    """Pieces of the documents of an array of texts, object or str [N].

    Raises:
      UserError: One of them is no text.
    """
    position = 0
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise UserError(f"texts[{i}] of type {kind}: expected a str")
        position += len(text)
        yield Piece(str(text), True, f"texts[{i}]", position)


def _is_shown(path: Path, folder: Path) -> bool:
    parts = path.relative_to(folder).parts
    return path.is_file() and not any(part.startswith(".") for part in parts)


def _text(path: Path, column: str) -> Iterator[Piece]:
    """A text file, which is one document."""
    del column
    with _decoded(path) as (content, file):
        text = _read(path, file)
        while True:
            following = _read(path, file) if text else ""
            yield Piece(text, not following, str(path), content.tell())
            if not following:
                return
            text = following


def _read(path: Path, file: io.TextIOWrapper) -> str:
    try:
        return file.read(PIECE) + file.readline(PIECE)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, error) from None


def _json_lines(path: Path, column: str) -> Iterator[Piece]:
    position = 0
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            position += len(line)
            if not line.strip():
                continue
            place = f"{path}:{number}"
            try:
                row = parse_object(line.removeprefix(b"\xef\xbb\xbf"))
                text = row.get(column)
                if isinstance(text, str):
                    text.encode()  # An escape may be half a character, \ud800.
            except UnicodeDecodeError as error:
                raise _not_utf8(place, error) from None
            except ValueError as error:
                raise UserError(f"{place}: {reason(error)}") from None
            if not isinstance(text, str):
                raise UserError(
                    f"{place}: expected a text {column!r}. {near(column, row)}"
                )
            yield Piece(text, True, place, position)


def _csv(path: Path, column: str) -> Iterator[Piece]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    limit = csv.field_size_limit(MAX_FIELD)
    with _decoded(path) as (content, file):
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            if column not in header:
                raise UserError(
                    f"{path}: expected a column {column!r}. {near(column, header)}"
                )
            place = header.index(column)
            for row in reader:
                where = f"{path}:{reader.line_num}"
                if len(row) != len(header):
                    raise UserError(
                        f"{where}: expected {len(header)} values, got {len(row)}"
                    )
                yield Piece(row[place], True, where, content.tell())
        except UnicodeDecodeError as error:
            raise _not_utf8(path, error) from None
        except csv.Error as error:
            raise UserError(f"{path}:{reader.line_num}: {error}") from None
        finally:
            csv.field_size_limit(limit)


def _parquet(path: Path, column: str) -> Iterator[Piece]:
    # Imported late: pyarrow takes long, and only these files need it.
    import pyarrow
    import pyarrow.parquet

    number, size = 0, path.stat().st_size
    with opened(path) as file:
        try:
            table = pyarrow.parquet.ParquetFile(file)
            names = table.schema_arrow.names
            if column not in names:
                raise UserError(
                    f"{path}: expected a column {column!r}. {near(column, names)}"
                )
            total = table.metadata.num_rows
            for batch in table.iter_batches(ROWS, columns=[column]):
                for text in batch.column(0).to_pylist():
                    place = f"{path}, row {number}"
                    if not isinstance(text, str):
                        kind = type(text).__name__
                        raise UserError(f"{place}: expected a text, got {kind}")
                    number += 1
                    yield Piece(text, True, place, size * number // total)
        except (pyarrow.ArrowException, OSError) as error:
            raise UserError(f"{path}: expected Parquet: {reason(error)}") from None


@contextlib.contextmanager
def _decoded(path: Path) -> Iterator[tuple[io.BufferedReader, io.TextIOWrapper]]:
    """File and its text, without a byte order mark, with line ends as they are."""
    with (
        opened(path) as content,
        io.TextIOWrapper(content, encoding="utf-8-sig", newline="") as file,
    ):
        yield content, file


def _not_utf8(place: object, error: UnicodeDecodeError) -> UserError:
    found = error.object[error.start]
    return UserError(f"{place}: expected text in UTF-8, got the byte {found:#04x}")


READERS: dict[str, Callable[[Path, str], Iterator[Piece]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
}
