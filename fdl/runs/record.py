"""Record of a run in its directory: its config, experiment and provenance."""

import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from fdl.errors import UserError, shown
from fdl.files import read_json
from fdl.runs import directory
from fdl.runs.experiment import LoadedExperiment, load_file
from fdl.runs.experiment_files import shipped_folder
from fdl.runs.format_number import check_format
from fdl.runs.trusted_files import check_trusted
from fdl.types import NOTHING

FORMAT = 1  # Of run.json and the files beside it; counted up when they change.

# Those keys that are read from the files, with what is expected of each.
Kind = tuple[str, Callable[[Any], bool]]
TEXT: Kind = "a text", lambda x: isinstance(x, str)
TEXTS: Kind = "a list of texts", lambda x: isinstance(x, list) and all(map(TEXT[1], x))
# Not isinstance: True is an int to Python.
COUNT: Kind = "an integer from 1 on", lambda x: type(x) is int and x >= 1
NATURAL: Kind = "an integer from 0 on", lambda x: type(x) is int and x >= 0
RUN_KEYS = {
    "experiment": TEXT,
    "path": TEXT,
    "arg": TEXT,
    "overrides": TEXTS,
    "seeds": COUNT,
}
CONFIG_KEYS = {"seed": NATURAL, "keep": COUNT, "best": TEXT}


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
    run = read_json(workdir / "run.json")
    check_format(workdir / "run.json", run.get("format"), FORMAT)
    config = read_json(workdir / "config.json")
    contents = ("run.json", run, RUN_KEYS), ("config.json", config, CONFIG_KEYS)
    for file, content, kinds in contents:
        for key, kind in kinds.items():
            expected, valid = kind
            if key not in content:
                raise UserError(f"{workdir / file} is damaged: {key!r} is missing")
            if not valid(content[key]):
                found = directory.shortened(content[key])
                raise UserError(
                    f"{workdir / file} is damaged: {key}={found}: expected {expected}"
                )
    return run, config


def reload(
    workdir: pathlib.Path, experiment_file: str | None = None
) -> tuple[LoadedExperiment, dict[str, Any]]:
    """Loads the experiment that a run directory is of.

    Relative paths in its config begin from the folder in which the run was started, so
    that a run is opened from any other; if ``experiment_file`` is given, or there is no
    such folder here, from the current one.

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
    if not os.path.isfile(path):
        # On another machine, fdl and what is shipped with it may lie elsewhere.
        shipped = shipped_folder() / f"{run['experiment']}.py"
        if experiment_file is not None or not shipped.is_file():
            raise UserError(f"{path} is gone: say where it is with --experiment FILE")
        path = shipped
    path = path.resolve()  # Once: what is checked must be what is imported.
    folder = None
    if experiment_file is None:
        check_trusted(path, workdir)
        folder = _start_folder(run)
    return load_file(path, run["arg"], run["overrides"], folder), run


def record(
    loaded: LoadedExperiment,
    workdir: pathlib.Path,
    num_seeds: int,
    fingerprint: str,
    warn: Callable[[str], None],
    weights: Mapping[str, str] = NOTHING,
) -> None:
    """Writes ``config.json`` and ``run.json``, unless they are there already.

    Args:
      loaded: File and config of the experiment.
      workdir: Directory of the run.
      num_seeds: Number of seeds that are trained at once.
      fingerprint: Fingerprint of the training data.
      warn: Called with one line if the experiment's file has changed.
      weights: Digests of the weights that training begins from.

    Raises:
      UserError: The directory holds another run.
    """
    check_same_run(loaded, workdir, num_seeds, fingerprint, warn, weights)
    config, run = _identity(loaded, num_seeds, fingerprint, weights)
    provenance = {
        "format": FORMAT,
        "arg": loaded.arg,
        "overrides": list(loaded.overrides),
        "path": str(loaded.path),
        "folder": str(loaded.folder),
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
    weights: Mapping[str, str] = NOTHING,
) -> None:
    """Raises `UserError` if a directory holds another run."""
    config, run = _identity(loaded, num_seeds, fingerprint, weights)
    path = workdir / "run.json"
    there = read_json(path) if path.exists() else None
    if there is not None:
        check_format(path, there.get("format"), FORMAT)
    directory.check_unchanged(workdir / "config.json", config)
    if there is not None:
        _check_inputs(workdir, run, there)
        # A file that has only moved has another name, but is the same experiment.
        if there.get("source") == loaded.source:
            del run["experiment"]
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
        raise UserError(f"seed={seed}: {workdir} has {there}")
    return seed - first


def _start_folder(run: Mapping[str, Any]) -> pathlib.Path | None:
    """Folder in which a run was started; None if it is not known or not here."""
    folder = str(run.get("folder", ""))
    here = os.path.isabs(folder) and os.path.isdir(folder)
    return pathlib.Path(folder) if here else None


def _check_inputs(
    workdir: pathlib.Path, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> None:
    """Raises `UserError` if nothing but the training data or weights have changed."""
    differing = [key for key in ours if ours[key] != theirs.get(key)]
    if differing == ["weights"]:
        files = directory.differences(ours["weights"], theirs.get("weights", {}))
        raise UserError(
            f"the weights that the run in {workdir} began from have changed, in "
            f"{shown(', '.join(files))}: put them back as they were, or train anew in "
            "another --workdir"
        )
    if differing == ["data"]:
        raise UserError(
            f"the training data is not that of the run in {workdir} any more: put it "
            "back as it was, or train anew in another --workdir; a model of the zoo "
            "predicts without it"
        )


def _identity(
    loaded: LoadedExperiment,
    num_seeds: int,
    fingerprint: str,
    weights: Mapping[str, str],
) -> tuple[dict, dict]:
    """Config and identity of a run, which must be the same when it is resumed."""
    config = json.loads(loaded.config.to_json_best_effort())
    run = {"experiment": loaded.name, "seeds": num_seeds, "data": fingerprint}
    return config, run | ({"weights": {**weights}} if weights else {})
