"""The run folder: what was run, on what, and that only one run uses it at a time."""

import fcntl
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax

from fdl.errors import RunError, UserError

PACKAGES = ("fdl", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


@contextmanager
def locked(workdir: pathlib.Path) -> Iterator[None]:
    """Makes a run folder, and keeps every other run out of it.

    Raises:
      UserError: Another run is at work there.
      RunError: The folder cannot be made or written.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(workdir / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise RunError(f"cannot write in {workdir}: {error.strerror}") from error
    try:
        # The system frees the lock when the process ends, however it ends.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(f"another run is at work in {workdir}") from None
    except OSError as error:
        os.close(descriptor)
        raise RunError(f"cannot lock {workdir}: {error.strerror}") from error
    try:
        yield
    finally:
        os.close(descriptor)


def compare(
    path: pathlib.Path, content: Mapping[str, Any], *, whole: bool = True
) -> None:
    """Checks that a JSON file of a run folder, if there is one, holds the same.

    Args:
      path: The file.
      content: What has to be there.
      whole: Whether there must be nothing else.

    Raises:
      UserError: It holds something else; the differing keys are named.
    """
    if not path.exists():
        return
    there = read_json(path)
    if not whole:
        there = {key: value for key, value in there.items() if key in content}
    differing = [
        f"{key} is {ours!r}, there {theirs!r}"
        for key, (ours, theirs) in differences(content, there).items()
    ]
    if differing:
        raise UserError(
            f"{path.parent} holds another run: {'; '.join(differing)} ({path.name}). "
            "Choose another --workdir, or delete that folder"
        )


def differences(here: Any, there: Any, prefix: str = "") -> dict[str, tuple]:
    """The leaves in which two JSON objects differ, by dotted key."""
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        found: dict[str, tuple] = {}
        for key in sorted({*here, *there}):
            missing = "missing"
            pair = here.get(key, missing), there.get(key, missing)
            found |= differences(*pair, f"{prefix}.{key}" if prefix else key)
        return found
    same = here == there or (here != here and there != there)  # NaN is the same.
    return {} if same else {prefix: (here, there)}


def versions() -> dict[str, str]:
    """Versions and hardware, for the record."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    device = jax.devices()[0]
    return {
        **found,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": f"{len(jax.devices())} x {device.platform} ({device.device_kind})",
    }


def commit(path: pathlib.Path) -> str | None:
    """The git commit that a file belongs to, with "+" if it was changed since."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(path.parent), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads a JSON object of a run folder; `UserError` if it is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: no JSON object")
    return content


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes a JSON file, whole or not at all; `RunError` if it cannot."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text file, whole or not at all; `RunError` if it cannot."""
    part = path.with_name(path.name + ".part")
    with writing(path):
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)


@contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Turns what the system says about a file into a `RunError` that names it."""
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error
