"""SHA-256 digests of the files of a checkpoint, which reveal any damage."""

import hashlib
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from fdl.data.checksums import of_file
from fdl.errors import RunError

DIGESTS = "digests.json"


class DamageError(RunError):
    """Damaged checkpoint: a file of it is not as it was written."""


def write_digests(folder: pathlib.Path) -> None:
    """Writes the digests of all files of a directory, and syncs everything to disk."""
    content = {"files": {name: of_file(folder / name) for name in _names(folder)}}
    (folder / DIGESTS).write_bytes(_text(content))
    # Directories too: the names of files are part of them.
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def check_digests(folder: pathlib.Path) -> None:
    """Raises `DamageError` if a file was changed, added or removed since.

    Args:
      folder: Directory on which `write_digests` was called.
    """
    digests = _read_digests(folder)
    for name in sorted({*digests, *_names(folder)}):
        _check(folder, name, digests)


def read_whole(folder: pathlib.Path, name: str) -> Any:
    """Reads a JSON file; `DamageError` if it differs from its digest."""
    _check(folder, name, _read_digests(folder))
    return json.loads((folder / name).read_text())


def reason(error: BaseException) -> str:
    """Message of an exception, in one line of at most 200 characters."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).strip() or type(error).__name__
    # Tensorstore raises a ValueError with the system's error in its text.
    error_code = re.search(r"os_error_code='(\d+)'", text)
    if error_code:
        return os.strerror(int(error_code[1]))
    return text.splitlines()[0][:200]


def _read_digests(folder: pathlib.Path) -> dict[str, str]:
    try:
        written = (folder / DIGESTS).read_bytes()
        digests = json.loads(written)["files"]
        # The file is made again and compared by its bytes, since JSON of another
        # spelling, such as a space more, would be read as the same digests.
        if written != _text({"files": digests}):
            raise ValueError("not as it was written")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damage(folder, DIGESTS, error) from None
    return digests


def _check(folder: pathlib.Path, name: str, digests: Mapping[str, str]) -> None:
    try:
        if name not in digests:
            raise ValueError("it was added")
        if digests[name] != of_file(folder / name):
            raise ValueError("not as it was written")
    except (OSError, ValueError) as error:
        raise _damage(folder, name, error) from None


def _damage(folder: pathlib.Path, name: str, error: Exception) -> DamageError:
    return DamageError(f"checkpoint {folder} is damaged: {name}: {reason(error)}")


def _text(content: Mapping) -> bytes:
    """Content of the file of digests: JSON that holds a digest of itself."""
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return json.dumps({**content, "digest": digest}, indent=1).encode()


def _names(folder: pathlib.Path) -> list[str]:
    """Relative paths of all files of a directory, without the file of digests."""
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return [str(p.relative_to(folder)) for p in paths if p != folder / DIGESTS]


def sync(path: pathlib.Path) -> None:
    """Flushes a file or a directory to disk by `os.fsync`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
