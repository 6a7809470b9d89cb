"""Files: written whole, through no link; JSON of unknown origin, read safely."""

import contextlib
import errno
import io
import json
import os
import pathlib
import secrets
import shutil
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO

from fdl.errors import UserError, reason

MAX_JSON_BYTES = 64 << 20


def fresh_name(path: pathlib.Path) -> pathlib.Path:
    """Unused name in the folder of a path, which nobody can foresee.

    A fixed one could be a link that came with the folder, to a file elsewhere.
    """
    # Short: a name that is as long as the file system allows leaves no room beside it.
    return path.with_name(f".{secrets.token_hex(8)}.part")


def expanded(path: str | os.PathLike[str]) -> pathlib.Path:
    """Path with the folder that ``~`` stands for; `UserError` if there is none."""
    try:
        return pathlib.Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"{path}: there is no such home folder") from None


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Writes a file atomically: under a fresh name, then renamed.

    Others see the old file or the new one, also after a crash. A link is replaced, not
    what it leads to.

    Args:
      path: Path of the file.

    Yields:
      Path of an empty file in the same folder, which is removed if writing fails.

    Raises:
      OSError: The file cannot be written.
    """
    part = fresh_name(path)
    # Never through a link; with the mode that any new file has.
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield part
        # On disk before it is renamed: a crash leaves the old file or the new one.
        sync(part)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)  # The disk may be full.
        raise


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Writes a file atomically; see `replacing`."""
    with replacing(path) as part:
        part.write_bytes(content)


def open_to_read(path: pathlib.Path) -> io.BufferedReader:
    """Opens a regular file to read it.

    Raises:
      OSError: It cannot be opened; `shutil.SpecialFileError` if it is a pipe or a
        device, which may keep its reader waiting, or never end.
    """
    # Without O_NONBLOCK, opening a pipe waits for somebody who writes into it.
    flags = os.O_RDONLY | os.O_NONBLOCK
    file = open(path, "rb", opener=lambda name, _: os.open(name, flags))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        text = "it is a pipe or a device"
        raise shutil.SpecialFileError(errno.EINVAL, text, str(path))
    return file


def read_bytes(path: pathlib.Path) -> bytes:
    """Content of a regular file; `OSError` as `open_to_read`."""
    with open_to_read(path) as file:
        return file.read()


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[io.BufferedReader]:
    """File of a user, as of `open_to_read`; `UserError` if it cannot be opened."""
    try:
        file = open_to_read(path)
    except (OSError, ValueError) as error:  # A ValueError of a null byte.
        raise UserError(f"{path}: expected a file: {reason(error)}") from None
    with file:
        yield file


def open_to_append(path: pathlib.Path) -> BinaryIO:
    """Opens a file to append to it, without a buffer; `OSError` if it is a link."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    return open(os.open(path, flags, 0o666), "ab", buffering=0)  # type: ignore[return-value]


def remove(path: pathlib.Path) -> None:
    """Removes a file, a folder with all in it, or a link, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def identity(path: pathlib.Path) -> tuple[int, int] | None:
    """Device and inode of a file or folder, the same while it lasts; None if gone."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def sync(path: pathlib.Path) -> None:
    """Flushes a file or a directory to disk by `os.fsync`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads a JSON object from a file of any origin.

    Raises:
      UserError: The file is missing, damaged, or larger than `MAX_JSON_BYTES`.
    """
    content = _read_limited(path)
    try:
        return parse_object(content)
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}") from None


def read_text(path: pathlib.Path) -> str:
    """Reads a text in UTF-8 from a file of any origin; errors are as of `read_json`."""
    try:
        return _read_limited(path).decode()
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from None


def not_utf8(path: pathlib.Path, error: UnicodeDecodeError) -> UserError:
    """Error of a file that is no UTF-8, with the first byte that is not."""
    found = error.object[error.start]
    return UserError(
        f"{path}: expected text in UTF-8, got {found:#04x} at byte {error.start}"
    )


def _read_limited(path: pathlib.Path) -> bytes:
    """Content of a file of at most `MAX_JSON_BYTES`."""
    try:
        with open_to_read(path) as file:
            content = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if len(content) > MAX_JSON_BYTES:
        raise UserError(f"{path}: expected at most {MAX_JSON_BYTES} bytes")
    return content


def parse_object(text: bytes) -> dict[str, Any]:
    """JSON object of a text; `ValueError` if it is anything else.

    Example:
      >>> parse_object(b"[" * 100_000)
      Traceback (most recent call last):
      ValueError: nested too deeply
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    return content
