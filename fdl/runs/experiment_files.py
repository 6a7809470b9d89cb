"""Experiment files: their paths, names and docstrings, and errors in their code."""

import ast
import pathlib
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from fdl.errors import UserError, describe, near


@contextmanager
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
        sys.path.remove(directory)


def line_of(error: BaseException, path: pathlib.Path) -> str:
    """``FILE:LINE: `` of a file's innermost frame in a traceback; empty without one."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    if lines or error.__cause__ is None:
        return f"{path}:{lines[-1]}: " if lines else ""
    return line_of(error.__cause__, path)  # Such as what ended a generator.


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
    # Searched as text: importing every file would be slow, and run its code.
    paths = sorted(pathlib.Path(folder).rglob("*.py"))
    return [path for path in paths if b"def get_config" in path.read_bytes()]


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
    except ValueError as error:  # Of null bytes, in Python 3.11.
        return f"({error})"
    return (text or "(no docstring)").splitlines()[0]
