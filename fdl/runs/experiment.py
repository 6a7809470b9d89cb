"""Experiments, loaded from their files and built; errors in them are one line."""

import hashlib
import importlib.util
import inspect
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from ml_collections import ConfigDict, FrozenConfigDict

from fdl import config as configs
from fdl.errors import UserError, near
from fdl.models.published.hub import pinned
from fdl.runs.cross_validation import combine_folds
from fdl.runs.experiment_files import (
    current_folder,
    find,
    name_of,
    user_code,
    working_folder,
)
from fdl.runs.experiment_parts import checked
from fdl.types import Experiment


class LoadedExperiment(NamedTuple):
    """Experiment file with its config.

    Attributes:
      path: Path of the file.
      arg: Argument behind the colon, of ``FILE:ARG``.
      overrides: Overrides of the config, ``key=value``.
      folder: Folder that relative paths in the file and its config begin from: the
        current one when the run was started.
      module: Module of the imported file.
      config: Config, resolved and locked.
    """

    path: pathlib.Path
    arg: str
    overrides: tuple[str, ...]
    folder: pathlib.Path
    module: ModuleType
    config: ConfigDict

    @property
    def name(self) -> str:
        """Name in `fdl list`: ``vision/digits_mlp``."""
        return name_of(self.path)

    @property
    def source(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def load(experiment: str, overrides: Sequence[str] = ()) -> LoadedExperiment:
    """Loads an experiment and resolves its config.

    Of ``config.weights``, a model of the Hugging Face Hub is pinned to the commit that
    its revision now is; see `fdl.models.from_source`.

    Args:
      experiment: Path or name of its file, with ``:ARG`` if it takes an argument.
      overrides: Overrides of the config, ``key=value``.

    Raises:
      UserError: The file does not exist or cannot be imported, or its config has no
        such key.
    """
    file, arg = _split(experiment)
    loaded = load_file(find(file), arg, overrides)
    weights = loaded.config.get("weights")
    found = pinned(weights) if isinstance(weights, str) else weights
    return loaded if found == weights else _overridden(loaded, f"weights={found}")


def load_file(
    path: pathlib.Path,
    arg: str = "",
    overrides: Sequence[str] = (),
    folder: pathlib.Path | None = None,
) -> LoadedExperiment:
    """Loads the experiment of a file and resolves its config.

    Args:
      path: Full path of the file.
      arg: Argument of its `get_config`; none if it is empty.
      overrides: Overrides of the config, ``key=value``.
      folder: Folder that relative paths begin from; default: the current one.

    Raises:
      UserError: As `load`, for what is in the file.
    """
    folder = folder or working_folder()
    with current_folder(folder):
        module = _import(path)
    for function in ("get_config", "build"):
        if not callable(getattr(module, function, None)):
            raise UserError(
                f"{path} has no function {function}: an experiment has get_config(arg) "
                "and build(config)"
            )
    # What the file does wrong is reported with its path and line.
    with current_folder(folder), user_code(path):
        if arg:
            _check_argument(module.get_config, arg)
        config = module.get_config(arg) if arg else module.get_config()
    if not isinstance(config, ConfigDict):
        raise UserError(
            f"{path}: get_config returns {type(config).__name__}, "
            "expected an ml_collections.ConfigDict"
        )
    config = configs.override(configs.complete(config), overrides)
    configs.check_ranges(config)
    return LoadedExperiment(path, arg, tuple(overrides), folder, module, config)


def build(loaded: LoadedExperiment, num_seeds: int = 1) -> list[Experiment]:
    """Builds an experiment for each seed, or all its folds as one.

    Args:
      loaded: Experiment to build.
      num_seeds: Number of seeds, from ``config.seed`` on.

    Raises:
      UserError: The file's `build` failed, or returned no `Experiment`.
    """
    count = num_folds(loaded.config)
    if count and num_seeds > 1:
        raise UserError(f"{count} folds and {num_seeds} seeds: choose one of them")
    if count:
        experiments = [_build(loaded, fold=k) for k in range(count)]
        with user_code(loaded.path):
            return [combine_folds(experiments)]
    first = loaded.config.seed
    configs.in_range("config.seed", first, 0, configs.RANGES["seed"][1] - num_seeds + 1)
    return [_build(loaded, seed=seed) for seed in range(first, first + num_seeds)]


def with_folds(loaded: LoadedExperiment, count: int) -> LoadedExperiment:
    """Sets the number of folds of an experiment, for cross-validation.

    Raises:
      UserError: Its config has no folds, or ``count`` is less than two.
    """
    for key in ("num_folds", "fold"):
        if key not in loaded.config:
            raise UserError(
                f"{loaded.name} has no folds: its config has no {key!r}, and its "
                "build no fdl.data.fold"
            )
    if count < 2:
        raise UserError(f"--folds={count}: expected at least 2")
    return _overridden(loaded, f"num_folds={count}")


def num_folds(config: ConfigDict | Mapping[str, Any]) -> int:
    """Number of folds that are trained at once; 0 if it is none, or a single one."""
    if "num_folds" not in config or "fold" not in config or config["fold"] >= 0:
        return 0
    return config["num_folds"]


def replicates(num_seeds: int, config: ConfigDict | Mapping[str, Any]) -> str:
    """Number and kind of what is trained at once; empty if it is a single model.

    Example:
      >>> replicates(5, {}), replicates(1, {"num_folds": 3, "fold": -1})
      ('5 seeds', '3 folds')
    """
    if count := num_folds(config):
        return f"{count} folds"
    return f"{num_seeds} seeds" if num_seeds > 1 else ""


def _split(experiment: str) -> tuple[str, str]:
    """File and argument of ``FILE:ARG``."""
    parts = experiment.split(":")
    # A path may contain colons itself: the longest prefix that is a file counts.
    for count in range(len(parts), 1, -1):
        file = ":".join(parts[:count])
        if pathlib.Path(file).is_file():
            return file, ":".join(parts[count:])
    return parts[0], ":".join(parts[1:])


def _overridden(loaded: LoadedExperiment, assignment: str) -> LoadedExperiment:
    """Sets a key of the config of an experiment, by ``key=value``."""
    # Kept among the overrides, since these are applied again when a run is resumed.
    configs.override(loaded.config, [assignment])
    return loaded._replace(overrides=(*loaded.overrides, assignment))


def _build(loaded: LoadedExperiment, **changes: int) -> Experiment:
    """Builds an experiment, with some keys of its config changed."""
    config = loaded.config.copy_and_resolve_references()
    config.update(changes)
    with current_folder(loaded.folder), user_code(loaded.path):
        return checked(loaded.module.build(FrozenConfigDict(config)))


def _check_argument(get_config: Callable[..., Any], arg: str) -> None:
    """Raises `UserError` if `get_config` takes no argument, or only others."""
    parameters = [*inspect.signature(get_config).parameters.values()]
    if not parameters:
        raise UserError(f"get_config takes no argument, {arg!r} was given")
    hint = parameters[0].annotation
    if get_origin(hint) is Literal and arg not in get_args(hint):
        name, known = parameters[0].name, get_args(hint)
        raise UserError(f"there is no {name} {arg!r}. {near(arg, known)}")


def _import(path: pathlib.Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # Functions of the file are pickled for worker processes by this name.
    sys.modules[spec.name] = module
    try:
        with user_code(path):
            spec.loader.exec_module(module)
    except UserError as error:
        # A syntax error has no frame in the file, but a line of its own.
        cause = error.__cause__
        if isinstance(cause, SyntaxError) and cause.filename and cause.lineno:
            raise UserError(f"{cause.filename}:{cause.lineno}: {cause.msg}") from error
        raise
    return module
