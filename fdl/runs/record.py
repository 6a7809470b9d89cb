"""Record of a run in its directory: its config, experiment and provenance."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

from fdl.errors import UserError
from fdl.runs import directory
from fdl.runs.experiment import LoadedExperiment, load_file
from fdl.runs.format_number import check_format
from fdl.runs.trusted_files import check_trusted

FORMAT = 1  # Of run.json and the files beside it; counted up when they change.
RUN_KEYS = {
    "experiment": str,
    "path": str,
    "arg": str,
    "overrides": list,
    "seeds": int,
}
CONFIG_KEYS = {"seed": int, "keep": int, "best": str}  # Those that are read from it.


def read_record(workdir: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads the record of a run, without its experiment.

    Args:
      workdir: Directory of the run.

    Returns:
      The contents of ``run.json`` and of ``config.json``.

    Raises:
      UserError: There is no run, or it is damaged or of another version of fdl.
    """
    if not (workdir / "run.json").is_file():
        raise UserError(f"{workdir} is no run directory: it has no run.json")
    run = directory.read_json(workdir / "run.json")
    check_format(workdir / "run.json", run.get("format"), FORMAT)
    config = directory.read_json(workdir / "config.json")
    contents = ("run.json", run, RUN_KEYS), ("config.json", config, CONFIG_KEYS)
    for file, content, kinds in contents:
        for key, kind in kinds.items():
            if not isinstance(content.get(key), kind):
                raise UserError(f"{workdir / file} is damaged: {key!r} is missing")
    return run, config


def reload(
    workdir: pathlib.Path, experiment_file: str | None = None
) -> tuple[LoadedExperiment, dict[str, Any]]:
    """Loads the experiment that a run directory is of.

    Args:
      workdir: Directory of the run.
      experiment_file: Path of the experiment's file; default: the one that
        ``run.json`` names, which has to be trusted.

    Returns:
      The experiment, and the content of ``run.json``.

    Raises:
      UserError: There is no run, or it is of another version of fdl, or its
        experiment's file has moved, or is not trusted and was not named.
    """
    run, _ = read_record(workdir)
    path = pathlib.Path(experiment_file or run["path"])
    if not path.is_file():
        raise UserError(f"{path} is gone: say where it is with --experiment FILE")
    path = path.resolve()  # Once: what is checked must be what is imported.
    if experiment_file is None:
        check_trusted(path, workdir)
    return load_file(path, run["arg"], run["overrides"]), run


def record(
    loaded: LoadedExperiment,
    workdir: pathlib.Path,
    num_seeds: int,
    fingerprint: str,
    warn: Callable[[str], None],
) -> None:
    """Writes ``config.json`` and ``run.json``, unless they are there already.

    Args:
      loaded: File and config of the experiment.
      workdir: Directory of the run.
      num_seeds: Number of seeds that are trained at once.
      fingerprint: Fingerprint of the training data.
      warn: Called with one line if the experiment's file has changed.

    Raises:
      UserError: The directory holds another run.
    """
    check_same_run(loaded, workdir, num_seeds, fingerprint, warn)
    config, run = _identity(loaded, num_seeds, fingerprint)
    provenance = {
        "format": FORMAT,
        "arg": loaded.arg,
        "overrides": list(loaded.overrides),
        "path": str(loaded.path),
        "source": loaded.source,
        "commit": directory.commit(loaded.path),
        "versions": directory.versions(),
    }
    for name, content in (
        ("config.json", config),
        ("run.json", {**run, **provenance}),
    ):
        if not (workdir / name).exists():
            directory.write_json(workdir / name, content)


def check_same_run(
    loaded: LoadedExperiment,
    workdir: pathlib.Path,
    num_seeds: int,
    fingerprint: str,
    warn: Callable[[str], None],
) -> None:
    """Raises `UserError` if a directory holds another run."""
    config, run = _identity(loaded, num_seeds, fingerprint)
    path = workdir / "run.json"
    there = directory.read_json(path) if path.exists() else None
    if there is not None:
        check_format(path, there.get("format"), FORMAT)
    directory.check_unchanged(workdir / "config.json", config)
    directory.check_unchanged(path, run, exact=False)
    # Only a warning: it may be a comment that has changed.
    if there is not None and there.get("source") != loaded.source:
        warn(f"{loaded.path} has changed since the run in {workdir} began")


def seed_index(workdir: pathlib.Path, first: int, count: int, seed: int | None) -> int:
    """Index of a seed among those of a run; the first by default.

    Args:
      workdir: Directory of the run.
      first: First seed of the run.
      count: Number of seeds, from the first on.
      seed: Seed that is asked for, or None.

    Raises:
      UserError: The run has no such seed.
    """
    if seed is None:
        return 0
    if not first <= seed < first + count:
        last = first + count - 1
        there = f"seed {first}" if first == last else f"the seeds {first} to {last}"
        raise UserError(f"--seed={seed}: {workdir} has {there}")
    return seed - first


def _identity(
    loaded: LoadedExperiment, num_seeds: int, fingerprint: str
) -> tuple[dict, dict]:
    """Config and identity of a run, which must be the same when it is resumed."""
    config = json.loads(loaded.config.to_json_best_effort())
    return config, {"experiment": loaded.name, "seeds": num_seeds, "data": fingerprint}
