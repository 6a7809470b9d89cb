"""SHA-256 digests of the files of a folder, for the detection of damage."""

import hashlib
import json
from pathlib import Path

from fdl.errors import UserError

NAME = "digests.json"


def write(folder: Path) -> None:
    """Writes the digests of all files of a folder into that folder."""
    (folder / NAME).write_text(json.dumps(of_files(folder), indent=1))


def check(folder: Path) -> str:
    """Verifies the files of a folder against the stored digests.

    Returns:
      Digest of all files together, 64 hexadecimal digits.

    Raises:
      UserError: A file is missing or differs from its digest.
    """
    remedy = f"delete {folder}, and it will be prepared again"
    try:
        expected = json.loads((folder / NAME).read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / NAME}: missing or damaged; {remedy}") from error
    actual = of_files(folder)
    for name, digest in expected.items():
        if name not in actual:
            raise UserError(f"{folder / name}: missing; {remedy}")
        if actual[name] != digest:
            raise UserError(f"{folder / name}: damaged or changed; {remedy}")
    return of_all(expected)


def of_files(folder: Path) -> dict[str, str]:
    """SHA-256 of each file that lies directly in a folder, by name of the file.

    Subfolders are left out: decoded arrays lie there, with digests of their own.
    """
    return {
        path.name: of_file(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != NAME
    }


def of_all(digests: dict[str, str]) -> str:
    """SHA-256 over the names and digests of several files, in any order."""
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()


def of_file(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
