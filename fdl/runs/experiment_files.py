"""Experiment files: their paths, names and docstrings, and errors in their code."""

import ast
import contextlib
import os
import pathlib
import sys
import traceback
from collections.abc import Iterator

from fdl.errors import UserError, near, reason


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
    except Exception as error:
        location = line_of(error, path) or f"{path}: "
        text = (str(error).strip().splitlines() or [""])[0]
        message = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise UserError(f"{location}{message}") from error
    finally:
        sys.path.remove(directory)


@contextlib.contextmanager
def current_folder(folder: pathlib.Path) -> Iterator[None]:
    """Makes a folder the current one, of which nothing is imported."""
    here = pathlib.Path.cwd()
    if folder == here:
        yield
        return
    # An empty entry, as of an interactive session, means the current folder: that of a
    # run which came from elsewhere may hold anything.
    sys.path[:] = [os.path.abspath(path) for path in sys.path]
    with contextlib.chdir(folder):
        yield


def line_of(error: Exception, path: pathlib.Path) -> str:
    """``FILE:LINE: `` of a file's innermost frame in a traceback; empty without one."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{path}:{lines[-1]}: " if lines else ""


def find(place: str, folder: str = "experiments") -> pathlib.Path:
    """Path of an experiment's file.

    Args:
      place: Path of the file, or its name below the directory; the last part of the
        name will do if it is the only one.
      folder: Directory of the experiments.

    Raises:
      UserError: There is no such experiment; near names are shown.
    """
    root = pathlib.Path(folder)
    for path in (pathlib.Path(place), root / f"{place}.py", root / place):
        if path.is_file():
            return path.resolve()
    known = {name_of(path) for path in files(folder)}
    matching = [name for name in known if name.endswith(f"/{place}")]
    if len(matching) == 1:
        return (root / f"{matching[0]}.py").resolve()
    short = place.removeprefix(f"{folder}/").removesuffix(".py")
    hint = near(short, known) if known else f"There is no folder {folder!r} here."
    raise UserError(f"there is no experiment {place!r}. {hint}")


def files(folder: str) -> list[pathlib.Path]:
    """Paths of all experiment files below a directory."""
    root = pathlib.Path(folder)
    return [path for path in sorted(root.rglob("*.py")) if _is_experiment(path, root)]


def _is_experiment(path: pathlib.Path, root: pathlib.Path) -> bool:
    # Hidden ones are of editors and environments; `.#x.py` even is a dangling link.
    if any(part.startswith(".") for part in path.relative_to(root).parts):
        return False
    try:
        # Searched as text: importing every file would be slow, and run its code.
        return path.is_file() and b"def get_config" in path.read_bytes()
    except OSError:  # A file of somebody else does not hide those that can be read.
        return False


def name_of(path: pathlib.Path) -> str:
    """Name of an experiment: its path below ``experiments``, without the suffix.

    Example:
      >>> name_of(pathlib.Path("a/experiments/vision/digits_mlp.py"))
      'vision/digits_mlp'
    """
    parts = path.with_suffix("").parts
    if "experiments" in parts:
        last = len(parts) - 1 - parts[::-1].index("experiments")
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
