"""Experiment files: found, loaded and built, with every mistake in one line."""

import ast
import hashlib
import importlib.util
import inspect
import pathlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import NamedTuple

from ml_collections import ConfigDict, FrozenConfigDict

from fdl import config as configs
from fdl.errors import UserError, near
from fdl.types import Experiment


class Loaded(NamedTuple):
    """An experiment file, and the config that was asked of it.

    Attributes:
      path: The file.
      arg: What stood behind the colon: ``FILE:ARG``.
      overrides: ``key=value``, as given.
      module: The file, imported.
      config: Resolved and locked.
    """

    path: pathlib.Path
    arg: str
    overrides: tuple[str, ...]
    module: ModuleType
    config: ConfigDict

    @property
    def name(self) -> str:
        """How `fdl list` calls it: ``vision/digits_mlp``."""
        return name_of(self.path)

    @property
    def source(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def load(experiment: str, overrides: Sequence[str] = ()) -> Loaded:
    """Loads an experiment and resolves its config.

    Args:
      experiment: A file or a name, perhaps with ``:ARG``.
      overrides: ``key=value``.

    Raises:
      UserError: There is no such file, it cannot be imported, or has no such key.
    """
    place, arg = _split(experiment)
    path = find(place)
    module = _import(path)
    for function in ("get_config", "build"):
        if not callable(getattr(module, function, None)):
            raise UserError(
                f"{path} has no function {function}: an experiment has get_config(arg) "
                "and build(config)"
            )
    with user_code(path):
        takes = inspect.signature(module.get_config).parameters
        if arg and not takes:
            raise UserError(f"get_config takes no argument, {arg!r} was given")
        config = module.get_config(arg) if arg else module.get_config()
    if not isinstance(config, ConfigDict):
        raise UserError(
            f"{path}: get_config returns {type(config).__name__}, "
            "expected an ml_collections.ConfigDict"
        )
    config = configs.override(configs.complete(config), overrides)
    return Loaded(path, arg, tuple(overrides), module, config)


def build(loaded: Loaded, seeds: int = 1) -> list[Experiment]:
    """Builds an experiment once for each seed; all folds of it, if asked to, as one.

    Raises:
      UserError: The file's `build` failed, or returned no `Experiment`.
    """
    count = num_folds(loaded.config)
    if count and seeds > 1:
        raise UserError(f"{count} folds and {seeds} seeds: choose one of them")
    if count:
        from fdl.train.folds import together

        experiments = [_build(loaded, fold=k) for k in range(count)]
        with user_code(loaded.path):
            return [together(experiments)]
    first = loaded.config.seed
    return [_build(loaded, seed=seed) for seed in range(first, first + seeds)]


def with_folds(loaded: Loaded, count: int) -> Loaded:
    """The same experiment, to be cross-validated.

    Raises:
      UserError: It knows no folds, or there are too few.
    """
    for key in ("num_folds", "fold"):
        if key not in loaded.config:
            raise UserError(
                f"{loaded.name} knows no folds: its config has no {key!r}, and its "
                "build no fdl.data.fold"
            )
    if count < 2:
        raise UserError(f"--folds={count}: expected at least 2")
    assignment = f"num_folds={count}"
    configs.override(loaded.config, [assignment])
    return loaded._replace(overrides=(*loaded.overrides, assignment))


def num_folds(config: ConfigDict) -> int:
    """How many folds are to be trained side by side; 0 if it is one, or none."""
    if "num_folds" not in config or "fold" not in config or config.fold >= 0:
        return 0
    return config.num_folds


@contextmanager
def user_code(path: pathlib.Path) -> Iterator[None]:
    """Turns what an experiment's own code raises into one line that says where.

    Raises:
      UserError: Something went wrong inside.
    """
    beside = str(path.parent)
    sys.path.insert(0, beside)  # As for a script: helpers may lie beside it.
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:
        where = line_of(error, path) or f"{path}: "
        text = (str(error).strip().splitlines() or [""])[0]
        what = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise UserError(f"{where}{what}") from error
    finally:
        sys.path.remove(beside)


def line_of(error: Exception, path: pathlib.Path) -> str:
    """``FILE:LINE: `` of the last line of a file on the way to an error, if any."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return f"{path}:{lines[-1]}: " if lines else ""


def find(place: str, folder: str = "experiments") -> pathlib.Path:
    """The file of an experiment: a path, or a name relative to the folder.

    Raises:
      UserError: There is none; near names are shown.
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
    """All experiment files below a folder."""
    paths = sorted(pathlib.Path(folder).rglob("*.py"))
    return [path for path in paths if b"def get_config" in path.read_bytes()]


def name_of(path: pathlib.Path) -> str:
    """A file's name without the folders above ``experiments``.

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
    """The first line of a file's docstring, without importing it."""
    try:
        text = ast.get_docstring(ast.parse(path.read_bytes()))
    except SyntaxError as error:
        return f"(line {error.lineno}: {error.msg})"
    except ValueError as error:  # What Python 3.11 says of null bytes.
        return f"({error})"
    return (text or "(no docstring)").splitlines()[0]


def _split(experiment: str) -> tuple[str, str]:
    """Splits ``FILE:ARG``; names of folders may have colons too."""
    parts = experiment.split(":")
    for count in range(len(parts), 1, -1):
        place = ":".join(parts[:count])
        if pathlib.Path(place).is_file():
            return place, ":".join(parts[count:])
    return parts[0], ":".join(parts[1:])


def _build(loaded: Loaded, **changes: int) -> Experiment:
    """Builds an experiment, with keys of its config changed."""
    config = loaded.config.copy_and_resolve_references()
    config.update(changes)
    with user_code(loaded.path):
        experiment = loaded.module.build(FrozenConfigDict(config))
    if not isinstance(experiment, Experiment):
        kind = type(experiment).__name__
        raise UserError(
            f"{loaded.path}: build returns {kind}, expected an fdl.Experiment"
        )
    return experiment


def _import(path: pathlib.Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # Where pickling of worker processes looks.
    try:
        with user_code(path):
            spec.loader.exec_module(module)
    except UserError as error:
        cause = error.__cause__
        if isinstance(cause, SyntaxError) and cause.filename and cause.lineno:
            raise UserError(f"{cause.filename}:{cause.lineno}: {cause.msg}") from error
        raise
    return module
