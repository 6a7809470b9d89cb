"""`fdl resume`: go on with a run that was stopped."""

import argparse
import pathlib

from fdl.cli import train

RECORDED = {"path": str, "arg": str, "overrides": list, "seeds": int}


def main(options: argparse.Namespace) -> int:
    """Goes on with a run, from its folder alone."""
    with train.stoppable() as stopped:
        workdir = pathlib.Path(options.workdir)
        loaded, run = reload(workdir, options.experiment)
        return train.run(loaded, workdir, run["seeds"], stopped)


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
