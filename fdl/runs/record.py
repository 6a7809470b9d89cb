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
RUN_KEYS = {"path": str, "arg": str, "overrides": list, "seeds": int}


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
    if not (workdir / "run.json").is_file():
        raise UserError(f"{workdir} is no run directory: it has no run.json")
    run = directory.read_json(workdir / "run.json")
    check_format(workdir / "run.json", run.get("format"), FORMAT)
    for key, kind in RUN_KEYS.items():
        if not isinstance(run.get(key), kind):
            raise UserError(f"{workdir / 'run.json'} is damaged: {key!r} is missing")
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


def _identity(
    loaded: LoadedExperiment, num_seeds: int, fingerprint: str
) -> tuple[dict, dict]:
    """Config and identity of a run, which must be the same when it is resumed."""
    config = json.loads(loaded.config.to_json_best_effort())
    return config, {"experiment": loaded.name, "seeds": num_seeds, "data": fingerprint}
