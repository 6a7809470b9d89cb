"""Run directory: its lock, JSON files, and the versions that were used."""

import errno
import fcntl
import importlib.metadata
import json
import os
import pathlib
import platform
import reprlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax

from fdl.errors import RunError, UserError
from fdl.files import read_json, write_bytes

# Errors of a path that no folder can have here: a file is in its way, or a letter or
# the length is not what the file system takes.
NO_PATH = {
    errno.EEXIST,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.EILSEQ,
    errno.EINVAL,
    errno.ELOOP,
}
PACKAGES = ("fdl", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


@contextmanager
def locked(workdir: pathlib.Path) -> Iterator[None]:
    """Makes a run directory, and locks it against other runs.

    Raises:
      UserError: Another run holds the lock, no folder can have such a path, or a link
        in it leads elsewhere.
      RunError: The directory cannot be made or written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        check_no_links(workdir)
        descriptor = os.open(workdir / ".lock", flags, 0o644)
    except UserError:
        raise
    except ValueError as error:  # Of a null byte.
        raise UserError(f"{workdir}: expected the path of a folder: {error}") from None
    except OSError as error:
        if error.errno in NO_PATH:
            raise UserError(
                f"{workdir}: expected the path of a folder: {error.strerror}"
            ) from None
        raise RunError(f"cannot write in {workdir}: {error.strerror}") from error
    try:
        _lock(descriptor)
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


def _lock(descriptor: int) -> None:
    """Locks a file against other runs; `BlockingIOError` if one holds the lock."""
    for tries_left in range(9, -1, -1):
        try:
            # The system frees the lock when the process ends, however it ends.
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Another process may hold it for a moment, in `is_locked`.
            if not tries_left:
                raise
            time.sleep(0.05)


def check_no_links(workdir: pathlib.Path) -> None:
    """Checks that what is written into a run directory stays there.

    A run directory may come from elsewhere: through a link in it, such as ``plots``,
    files of this machine would be overwritten.

    Raises:
      UserError: There is a link in it.
    """
    for path in sorted(workdir.iterdir()):
        if path.is_symlink():
            raise UserError(
                f"{path} is a link: expected a file or a folder, as through links in "
                "it a run could overwrite what is elsewhere"
            )


def is_locked(workdir: pathlib.Path) -> bool:
    """True if a run is at work in a directory, which is only read."""
    try:
        descriptor = os.open(workdir / ".lock", os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def check_unchanged(
    path: pathlib.Path, content: Mapping[str, Any], *, exact: bool = True
) -> None:
    """Checks the content of a JSON file of a run directory, if the file exists.

    Args:
      path: Path of the file.
      content: Expected content.
      exact: If false, further keys of the file are ignored.

    Raises:
      UserError: The content is another; the differing keys are named.
    """
    if not path.exists():
        return
    there = read_json(path)
    if not exact:
        there = {key: value for key, value in there.items() if key in content}
    differing = [
        f"{key} is {shortened(ours)}, there {shortened(theirs)}"
        for key, (ours, theirs) in differences(content, there).items()
    ]
    if differing:
        raise UserError(
            f"{path.parent} holds another run: {'; '.join(differing)} ({path.name}). "
            "It is another config, or another experiment's file, than it was trained "
            "with: for a new run, choose another --workdir"
        )


def differences(here: Any, there: Any, prefix: str = "") -> dict[str, tuple]:
    """Pairs of leaves in which two JSON objects differ, by dotted key."""
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        pairs: dict[str, tuple] = {}
        for key in sorted({*here, *there}):
            missing = "missing"
            values = here.get(key, missing), there.get(key, missing)
            pairs |= differences(*values, f"{prefix}.{key}" if prefix else key)
        return pairs
    # NaN, which alone is unequal to itself, counts as equal to NaN.
    same = here == there or (here != here and there != there)
    return {} if same else {prefix: (here, there)}


def shortened(value: Any) -> str:
    """Python's notation of a value of JSON, cut where it is long or deep.

    Example:
      >>> shortened(list(range(100)))
      '[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...]'
    """
    short = reprlib.Repr()
    short.maxstring = short.maxother = 200
    short.maxlist = short.maxdict = 10
    return short.repr(value)


def versions() -> dict[str, str]:
    """Versions of the packages and of Python, the platform and the devices."""
    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    device = jax.devices()[0]
    return {
        **packages,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": f"{len(jax.devices())} x {device.platform} ({device.device_kind})",
    }


def commit(path: pathlib.Path) -> str | None:
    """Git commit of a file's repository, with "+" if it has uncommitted changes."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(path.parent), *arguments]
        # Names of files need not be text.
        process = subprocess.run(command, capture_output=True, check=True)
        return process.stdout.decode(errors="replace").strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes a JSON file atomically; `RunError` if that fails."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text file atomically; `RunError` if that fails."""
    with writing(path):
        # As on a terminal: the name of a file may be no text.
        write_bytes(path, text.encode(errors="backslashreplace"))


@contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Turns an `OSError` into a `RunError` that names the file."""
    try:
        yield
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error
