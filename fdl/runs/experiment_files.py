"""Experiment files: their paths, names and docstrings, and errors in their code."""

import ast
import contextlib
import os
import pathlib
import sys
import traceback
from collections.abc import Iterable, Iterator

from fdl.errors import UserError, describe, near, reason
from fdl.files import read_bytes

FOLDER = "experiments"
MAX_BYTES = 1 << 20  # Of an experiment's file, to be found by its name.


@contextlib.contextmanager
def user_code(path: pathlib.Path) -> Iterator[None]:
    """Turns exceptions of an experiment's code into one line that names its line.

    Raises:
      UserError: Any exception was raised inside.
    """
    directory = str(path.parent)
    sys.path.insert(0, directory)  # As Python does for a script, for modules beside it.
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except KeyboardInterrupt:
        raise
    except (
        BaseException
    ) as error:  # Such as SystemExit, which would end fdl in silence.
        location = line_of(error, path) or f"{path}: "
        raise UserError(f"{location}{describe(error)}") from error
    finally:
        with contextlib.suppress(ValueError):  # The code may have changed the path.
            sys.path.remove(directory)


def working_folder() -> pathlib.Path:
    """Current folder; `UserError` if it was removed."""
    try:
        return pathlib.Path.cwd()
    except FileNotFoundError:
        raise UserError("the current folder was removed: go to another") from None


@contextlib.contextmanager
def current_folder(folder: pathlib.Path) -> Iterator[None]:
    """Makes a folder the current one, of which nothing is imported."""
    here = working_folder()
    # An empty entry, as of an interactive session, means the current folder: that of a
    # run which came from elsewhere may hold anything.
    if folder != here:
        sys.path[:] = [os.path.abspath(path) for path in sys.path]
    # Also if it is the current one already, since code inside may leave it.
    with contextlib.chdir(folder):
        yield


def line_of(error: BaseException, path: pathlib.Path) -> str:
    """``FILE:LINE: `` of a file's innermost frame in a traceback; empty without one."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    if lines or error.__cause__ is None:
        return f"{path}:{lines[-1]}: " if lines else ""
    return line_of(error.__cause__, path)  # Such as what ended a generator.


def shipped_folder() -> pathlib.Path:
    """Folder of the experiments that are shipped with fdl."""
    package = pathlib.Path(__file__).resolve().parents[1]
    inside = package / FOLDER
    # They are in an installed package; in the repository they are beside it. What is
    # beside an installed package came from others.
    return inside if inside.is_dir() else package.parent / FOLDER


def find(place: str) -> pathlib.Path:
    """Path of an experiment's file.

    Args:
      place: Path of the file, or a name of `known_experiments`; the last part of the
        name will do if it is the only one.

    Raises:
      UserError: There is no such experiment; near names are shown.
    """
    path = pathlib.Path(place)
    if path.is_file():
        return path.resolve()
    known = known_experiments()
    name = place.removeprefix(f"{FOLDER}/").removesuffix(".py")
    matching = [known[name]] if name in known else []
    matching = matching or [known[x] for x in known if x.endswith(f"/{place}")]
    if len(matching) == 1:
        return matching[0].resolve()
    raise UserError(f"there is no experiment {place!r}. {near(name, known)}")


def known_experiments() -> dict[str, pathlib.Path]:
    """Paths of the experiments that have a name, by that name.

    They are those of the current folder, those below its ``experiments``, and the
    shipped ones. One's own experiment hides a shipped one of the same name.
    """
    here = _experiments_of(pathlib.Path().glob("*.py"))
    paths = [*here, *files(FOLDER), *files(shipped_folder())]
    return {name_of(path): path for path in reversed(paths)}


def files(folder: str | pathlib.Path) -> list[pathlib.Path]:
    """Paths of all experiment files below a directory."""
    return _experiments_of(pathlib.Path(folder).rglob("*.py"))


def _experiments_of(paths: Iterable[pathlib.Path]) -> list[pathlib.Path]:
    # Searched as text: importing every file would be slow, and run its code.
    return [path for path in sorted(paths) if b"def get_config" in _content(path)]


def _content(path: pathlib.Path) -> bytes:
    """Content of a file; empty if it is hidden, large, none, or cannot be read."""
    # Editors leave links such as `.#file.py` that lead nowhere.
    with contextlib.suppress(OSError):
        if not path.name.startswith(".") and path.stat().st_size <= MAX_BYTES:
            return read_bytes(path)
    return b""


def name_of(path: pathlib.Path) -> str:
    """Name of an experiment: its path below ``experiments``, without the suffix.

    Example:
      >>> name_of(pathlib.Path("a/experiments/vision/digits_mlp.py"))
      'vision/digits_mlp'
    """
    parts = path.with_suffix("").parts
    if FOLDER in parts:
        last = len(parts) - 1 - parts[::-1].index(FOLDER)
        parts = parts[last + 1 :]
    else:
        parts = parts[-1:]
    return "/".join(parts)


def summary(path: pathlib.Path) -> str:
    """First line of a file's docstring, read without importing it."""
    try:
        text = ast.get_docstring(ast.parse(path.read_bytes()))
    except SyntaxError as error:
        return f"(line {error.lineno}: {error.msg})"
    # Of null bytes, in Python 3.11, and of thousands of brackets inside each other.
    except (ValueError, RecursionError, MemoryError) as error:
        return f"({reason(error)})"
    return (text or "(no docstring)").splitlines()[0]
