"""Digests of the files of a folder, so that damage is noticed."""

import hashlib
import json
from pathlib import Path

from fdl.errors import UserError

NAME = "digests.json"


def write(folder: Path) -> None:
    """Writes down the digests of all files that lie in a folder."""
    (folder / NAME).write_text(json.dumps(of_files(folder), indent=1))


def check(folder: Path) -> str:
    """Compares the files of a folder to their digests.

    Returns:
      One digest of them all.

    Raises:
      UserError: A file is missing, or not what it was.
    """
    mend = f"Delete {folder}: it is made again when it is needed."
    try:
        expected = json.loads((folder / NAME).read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / NAME} is missing or damaged. {mend}") from error
    found = of_files(folder)
    for name, digest in expected.items():
        if name not in found:
            raise UserError(f"{folder / name} is missing. {mend}")
        if found[name] != digest:
            raise UserError(f"{folder / name} is damaged: it was changed. {mend}")
    return of_all(expected)


def of_files(folder: Path) -> dict[str, str]:
    """The sha256 of each file that lies in a folder, by name."""
    return {
        path.name: of_file(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != NAME
    }


def of_all(digests: dict[str, str]) -> str:
    """One sha256 of many, and of their names."""
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def of_file(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
