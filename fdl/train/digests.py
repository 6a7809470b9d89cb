"""Digests of the files of a checkpoint: damage is noticed, whatever the byte."""

import hashlib
import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from fdl.data.digests import of_file
from fdl.errors import RunError

DIGESTS = "digests.json"


class DamageError(RunError):
    """A checkpoint is not as it was written."""


def write_digests(folder: pathlib.Path) -> None:
    """Writes the SHA-256 of each file of a folder into one more, and syncs it all."""
    content = {"files": {name: of_file(folder / name) for name in _names(folder)}}
    (folder / DIGESTS).write_bytes(_text(content))
    for path in [*folder.rglob("*"), folder]:
        sync(path)


def check_digests(folder: pathlib.Path) -> None:
    """Raises `DamageError` if anything in a folder is not as `write_digests` saw it."""
    digests = _read_digests(folder)
    for name in sorted({*digests, *_names(folder)}):
        _check(folder, name, digests)


def read_whole(folder: pathlib.Path, name: str) -> Any:
    """Reads a JSON file; `DamageError` if it is not as `write_digests` saw it."""
    _check(folder, name, _read_digests(folder))
    return json.loads((folder / name).read_text())


def reason(error: BaseException) -> str:
    """What an error says, in one line; it may have a hundred."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).strip() or type(error).__name__
    system = re.search(r"os_error_code='(\d+)'", text)  # As tensorstore has it.
    if system:
        return os.strerror(int(system[1]))
    return text.splitlines()[0][:200]


def _read_digests(folder: pathlib.Path) -> dict[str, str]:
    try:
        written = (folder / DIGESTS).read_bytes()
        digests = json.loads(written)["files"]
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
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return json.dumps({**content, "digest": digest}, indent=1).encode()


def _names(folder: pathlib.Path) -> list[str]:
    """Relative names of all files but the digests."""
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return [str(p.relative_to(folder)) for p in paths if p != folder / DIGESTS]


def sync(path: pathlib.Path) -> None:
    """Sees a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
