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
    except OSError:
        os.close(descriptor)
        raise UserError(f"another run is at work in {workdir}") from None
    try:
        yield
    finally:
        os.close(descriptor)


def describe(workdir: pathlib.Path, config: Mapping[str, Any], run: dict) -> None:
    """Writes what is run, or checks that a folder holds the very same.

    Args:
      workdir: The run folder.
      config: The resolved config, as JSON has it.
      run: What else makes the run: experiment, seeds, data. All but "versions",
        "commit" and "source" have to be the same when a run goes on.

    Raises:
      UserError: The folder holds another run; the differing keys are named.
    """
    pairs = (("config.json", config), ("run.json", run))
    for name, content in pairs:
        path = workdir / name
        if not path.exists():
            continue
        old = read_json(path)
        ignored = {"versions", "commit", "source", "path"}
        differing = [
            f"{key} is {here}, there {there}"
            for key, (here, there) in _differences(content, old).items()
            if key.split(".")[0] not in ignored
        ]
        if differing:
            kind = "config" if name == "config.json" else "run"
            raise UserError(
                f"{workdir} holds another {kind}: {'; '.join(differing)}. "
                "Choose another --workdir, or delete that folder"
            )
    for name, content in pairs:
        if not (workdir / name).exists():
            write_json(workdir / name, content)


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


def read_json(path: pathlib.Path) -> Any:
    """Reads a JSON file of a run folder; `UserError` if it is none."""
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise UserError(f"{path} is damaged: no JSON") from None


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes a JSON file, whole or not at all; `RunError` if it cannot."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_text(json.dumps(content, indent=2) + "\n")
        part.rename(path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error


def _differences(here: Any, there: Any, prefix: str = "") -> dict[str, tuple]:
    """The leaves in which two JSON objects differ, by dotted key."""
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        found: dict[str, tuple] = {}
        for key in sorted({*here, *there}):
            missing = "missing"
            pair = here.get(key, missing), there.get(key, missing)
            found |= _differences(*pair, f"{prefix}.{key}" if prefix else key)
        return found
    return {} if here == there else {prefix: (here, there)}
