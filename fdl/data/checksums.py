"""SHA-256 checksums of the files of a folder, by which damage is found."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from fdl.errors import DamageError, RunError, UserError, reason
from fdl.files import open_to_read, parse_object, read_bytes, write_bytes

NAME = "checksums.json"
# The file is not there, or something else is: of all that the system may answer, this
# alone proves damage. A permission may be given, and a disk mounted again.
GONE = (
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    shutil.SpecialFileError,
)


def write_checksums(folder: Path, *, recursive: bool = False) -> None:
    """Writes the checksums of the files of a folder into that folder.

    Args:
      folder: Folder.
      recursive: Whether the files of its subfolders count too; they may have checksums
        of their own.
    """
    checksums = checksums_of(folder, recursive=recursive)
    write_bytes(folder / NAME, _text(checksums))


def verify(folder: Path, *, recursive: bool = False) -> dict[str, str]:
    """Checksums of a folder, after its files were compared with them.

    Args:
      folder: Folder of which `write_checksums` was called.
      recursive: As it was then; then files that were added count as damage too.

    Raises:
      DamageError: A file was changed or removed since.
      RunError: A file cannot be read, so that nobody knows.
    """
    checksums = _read(folder)
    # What others put beside the files of a data set, such as .DS_Store, does no harm;
    # in a checkpoint, orbax might read it.
    added = _names(folder, recursive) if recursive else []
    for name in sorted({*checksums, *added}):
        _verify(folder, name, checksums)
    return checksums


def verify_prepared(folder: Path) -> dict[str, str]:
    """Checksums of a folder that fdl has prepared, and can prepare again.

    Raises:
      UserError: It is damaged, and has to be deleted.
    """
    try:
        return verify(folder)
    except DamageError as error:
        text = f"{error}; delete {folder}, and it will be prepared again"
        raise UserError(text) from None


def read_verified(folder: Path, name: str) -> bytes:
    """Content of a file of a folder, read once; errors are those of `verify`."""
    checksums = _read(folder)
    with _reading(folder, name):
        content = read_bytes(folder / name)
        _compare(name, hashlib.sha256(content).hexdigest(), checksums)
    return content


def checksums_of(folder: Path, *, recursive: bool = False) -> dict[str, str]:
    """SHA-256 of each file of a folder, by its name relative to the folder."""
    return {name: checksum(folder / name) for name in _names(folder, recursive)}


def combined(checksums: Mapping[str, str]) -> str:
    """SHA-256 over the names and checksums of several files, in any order."""
    return hashlib.sha256(json.dumps(checksums, sort_keys=True).encode()).hexdigest()


def checksum(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with open_to_read(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(folder: Path) -> dict[str, str]:
    with _reading(folder, NAME):
        written = read_bytes(folder / NAME)
        checksums = parse_object(written).get("files")
        # The file is made again and compared by its bytes, since JSON of another
        # spelling, such as a space more, would be read as the same checksums.
        if not isinstance(checksums, dict) or written != _text(checksums):
            raise ValueError("not as it was written")
    return checksums


def _verify(folder: Path, name: str, checksums: Mapping[str, str]) -> None:
    with _reading(folder, name):
        _compare(name, checksum(folder / name), checksums)


def _compare(name: str, digest: str, checksums: Mapping[str, str]) -> None:
    if name not in checksums:
        raise ValueError("it was added")
    if checksums[name] != digest:
        raise ValueError("not as it was written")


@contextlib.contextmanager
def _reading(folder: Path, name: str) -> Iterator[None]:
    """Tells damage, which is proven, from what cannot be read for the moment."""
    try:
        yield
    except (*GONE, ValueError) as error:
        raise DamageError(folder, name, reason(error)) from None
    except OSError as error:
        raise RunError(f"cannot read {folder / name}: {error.strerror}") from None


def _text(checksums: Mapping[str, str]) -> bytes:
    """JSON of checksums, with a checksum of themselves."""
    content = {"files": checksums}
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return json.dumps({**content, "digest": digest}, indent=1).encode()


def _names(folder: Path, recursive: bool) -> list[str]:
    paths = folder.rglob("*") if recursive else folder.iterdir()
    files = sorted(path for path in paths if not path.is_dir())
    return [str(p.relative_to(folder)) for p in files if p != folder / NAME]
