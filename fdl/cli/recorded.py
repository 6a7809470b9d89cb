"""What a run folder says of its run, and what it refuses."""

import json
import pathlib
from typing import Any, NamedTuple

from fdl.cli.output import warn

RECORDED = {"path": str, "arg": str, "overrides": list, "seeds": int}


class Run(NamedTuple):
    """A run as it is in its folder, ready to be asked.

    Attributes:
      workdir: The folder.
      loaded: Its experiment.
      seeds: How many.
      experiments: What was built, for each seed.
      setting: What they are run with.
    """

    workdir: pathlib.Path
    loaded: Any
    seeds: int
    experiments: list[Any]
    setting: Any


def opened(workdir: str, experiment: str | None = None) -> Run:
    """Builds what a run folder is of, and sees that it still is.

    Args:
      workdir: The run folder.
      experiment: Where the experiment's file is; default: where it was.

    Raises:
      UserError: It is no run folder, or of something else.
    """
    from fdl.cli import loading
    from fdl.cli.start import start
    from fdl.train import session

    folder = pathlib.Path(workdir)
    loaded, run = reload(folder, experiment)
    seeds = run["seeds"]
    start(keep_memory=loaded.config.keep_memory)
    experiments = loading.build(loaded, seeds)
    with loading.user_code(loaded.path):
        setting = session.setting(experiments, loaded.config)
    compare(loaded, folder, seeds, setting.batches.fingerprint)
    return Run(folder, loaded, seeds, experiments, setting)


def reload(workdir: pathlib.Path, experiment: str | None):
    """Loads the experiment that a run folder is of.

    Args:
      workdir: The run folder.
      experiment: Where its file is; default: where it was.

    Returns:
      What `loading.load` returns, and the contents of ``run.json``.

    Raises:
      UserError: It is no run folder, or the file has moved. A file inside of the run
        folder is not run: a folder that came from elsewhere must not bring code.
    """
    from fdl.cli.loading import load
    from fdl.errors import UserError
    from fdl.train.folder import read_json

    if not (workdir / "run.json").is_file():
        raise UserError(f"{workdir} is no run folder: it has no run.json")
    run = read_json(workdir / "run.json")
    for key, kind in RECORDED.items():
        if not isinstance(run.get(key), kind):
            raise UserError(f"{workdir / 'run.json'} is damaged: {key!r} is missing")
    path = pathlib.Path(experiment or run["path"])
    if not path.is_file():
        raise UserError(f"{path} is gone: say where it is with --experiment FILE")
    if experiment is None and path.resolve().is_relative_to(workdir.resolve()):
        raise UserError(f"{path} lies inside of the run folder: name it, --experiment")
    arg = f":{run['arg']}" if run["arg"] else ""
    return load(f"{path}{arg}", run["overrides"]), run


def record(loaded, workdir: pathlib.Path, seeds: int, fingerprint: str) -> None:
    """Writes down what is run; refuses a folder that holds something else."""
    from fdl.train import folder

    compare(loaded, workdir, seeds, fingerprint)
    config, run = description(loaded, seeds, fingerprint)
    more = {
        "arg": loaded.arg,
        "overrides": list(loaded.overrides),
        "path": str(loaded.path),
        "source": loaded.source,
        "commit": folder.commit(loaded.path),
        "versions": folder.versions(),
    }
    for name, content in (("config.json", config), ("run.json", {**run, **more})):
        if not (workdir / name).exists():
            folder.write_json(workdir / name, content)


def compare(loaded, workdir: pathlib.Path, seeds: int, fingerprint: str) -> None:
    """Refuses a folder that holds something else; warns if only the file changed."""
    from fdl.train import folder

    config, run = description(loaded, seeds, fingerprint)
    folder.compare(workdir / "config.json", config)
    folder.compare(workdir / "run.json", run, whole=False)
    if (workdir / "run.json").exists():
        source = folder.read_json(workdir / "run.json").get("source")
        if source != loaded.source:
            warn(f"{loaded.path} has changed since the run in {workdir} began")


def description(loaded, seeds: int, fingerprint: str) -> tuple[dict, dict]:
    """All that has to be the same when a run goes on: the config, and the rest."""
    config = json.loads(loaded.config.to_json_best_effort())
    return config, {"experiment": loaded.name, "seeds": seeds, "data": fingerprint}


def restore(workdir: pathlib.Path, setting, config, which: str):
    """The step and the carry of a checkpoint.

    Raises:
      UserError: There is no such checkpoint.
      RunError: It is damaged.
    """
    from fdl.errors import UserError
    from fdl.train.checkpoint import Checkpoints

    checkpoints = Checkpoints(
        workdir / "checkpoints", keep=config.keep, best=config.best
    )
    steps = checkpoints.steps()
    if not steps:
        raise UserError(f"{workdir} has no checkpoint yet")
    if which.isdecimal():
        step = int(which)
    elif which in ("best", "latest"):
        best = checkpoints.best() if which == "best" else steps[-1]
        if best is None:
            raise UserError(
                f"no checkpoint in {workdir} was evaluated: there is no best"
            )
        step = best
    else:
        raise UserError(f"--checkpoint={which}: expected best, latest or a step")
    if step not in steps:
        there = ", ".join(map(str, steps))
        raise UserError(
            f"{workdir} has no checkpoint of step {step}. There is: {there}."
        )
    return step, checkpoints.restore(step, setting.program.abstract(setting.keys))


def place_of(asked: int | None, first: int, seeds: int, folder: pathlib.Path) -> int:
    """The place of a seed among those of a run."""
    from fdl.errors import UserError

    if asked is None:
        return 0
    if not first <= asked < first + seeds:
        last = first + seeds - 1
        there = f"seed {first}" if seeds == 1 else f"the seeds {first} to {last}"
        raise UserError(f"--seed={asked}: {folder} has {there}")
    return asked - first
