"""Trusted experiment files: those that are imported because a run folder names them.

A run folder that came from elsewhere may name any file of this machine. What it names
is imported only if it is shipped with fdl, or if this user has trained it before, as it
is now: `record_started` notes path and SHA-256 outside of the run folder. Anything else
has to be named again, by ``--experiment FILE``.

The digest is that of the file alone. An experiment may import modules that lie beside
it; these are trusted with their folder, which is why a copy of a file elsewhere is not
the same as the file.
"""

import errno
import hashlib
import os
import pathlib
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from fdl.data.checksums import checksum
from fdl.errors import UserError, reason
from fdl.runs.experiment_files import shipped_folder


def check_trusted(path: pathlib.Path, workdir: pathlib.Path) -> None:
    """Checks that the file that a run folder names may be imported.

    Args:
      path: Path of the experiment's file, without links.
      workdir: Directory of the run.

    Raises:
      UserError: The file is not shipped with fdl, and either this user has never
        started it, or it has changed since.
    """
    if _is_shipped(path, workdir):
        return
    started: list[str] = []
    with suppress(OSError, UserError), _records() as folder:
        prefix = _name(path, "")
        started = [name for name in os.listdir(folder) if name.startswith(prefix)]
    if _name(path, checksum(path)) in started:
        return
    what = "has changed since you trained it" if started else "was not trained by you"
    raise UserError(
        f"{path}, which {workdir} names, {what}: if you trust it, say "
        f"--experiment {shlex.quote(str(path))}"
    )


def record_started(
    path: pathlib.Path, workdir: pathlib.Path, warn: Callable[[str], None]
) -> None:
    """Records that this user has started an experiment's file, as it is now.

    Args:
      path: Path of the experiment's file, without links.
      workdir: Directory of the run.
      warn: Called with one line if it cannot be recorded.
    """
    if _is_shipped(path, workdir):
        return
    try:
        folder = state_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "started").mkdir(mode=0o700, exist_ok=True)
        with _records() as descriptor:
            _write(_name(path, checksum(path)), os.fsencode(path), descriptor)
    except (OSError, UserError) as error:
        warn(
            f"cannot record that you trained {path}: {reason(error)}. To open "
            f"{workdir} later, say --experiment FILE"
        )


def state_folder() -> pathlib.Path:
    """Folder of what fdl remembers of a user.

    It is ``FDL_STATE_DIR``; by default ``fdl`` below ``XDG_STATE_HOME``, or else
    ``~/.local/state/fdl``. Without ``HOME``, the user database tells the home folder.

    Raises:
      UserError: It is relative, or this user has no home folder.
    """
    # A relative one would be found in whatever folder is the current one.
    own = os.environ.get("FDL_STATE_DIR")
    if own:
        if not os.path.isabs(own):
            raise UserError(f"FDL_STATE_DIR={own}: expected an absolute path")
        return pathlib.Path(own)
    # The XDG base directory specification asks to ignore relative paths.
    xdg = os.environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(xdg):
        return pathlib.Path(xdg) / "fdl"
    with suppress(RuntimeError):
        home = pathlib.Path.home()
        if home.is_absolute():
            return home / ".local/state/fdl"
    raise UserError("there is no home folder: set FDL_STATE_DIR to an absolute path")


def _is_shipped(path: pathlib.Path, workdir: pathlib.Path) -> bool:
    folder = shipped_folder()
    # A run folder that was put there may have brought the file with it.
    brought = workdir.resolve().is_relative_to(folder)
    return path.resolve().is_relative_to(folder) and not brought


def _name(path: pathlib.Path, digest: str) -> str:
    """Name of a record: those of one file share everything but the digest."""
    return f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()}-{digest}"


@contextmanager
def _records() -> Iterator[int]:
    """Descriptor of the folder of the records; `OSError` if others may write there."""
    folder = state_folder() / "started"
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(errno.EPERM, f"others may write {folder}")
        yield descriptor
    finally:
        os.close(descriptor)


def _write(name: str, content: bytes, folder: int) -> None:
    """Writes a record, unless it is there: its name tells all, its text is for people.

    A file for each record, so that runs that start at once need no lock.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with suppress(FileExistsError):
        descriptor = os.open(name, flags, 0o600, dir_fd=folder)
        with open(descriptor, "wb") as file:
            file.write(content + b"\n")
