"""`fdl eval`: evaluate a checkpoint of a run."""

import argparse
import pathlib


def main(options: argparse.Namespace) -> int:
    """Evaluates the latest checkpoint, the best or that of a step."""
    from rich.console import Console

    from fdl.cli import loading
    from fdl.cli.progress import table
    from fdl.cli.resume import reload
    from fdl.cli.start import start
    from fdl.train import session

    workdir = pathlib.Path(options.workdir)
    loaded, run = reload(workdir, options.experiment)
    start()
    setting = session.setting(loading.build(loaded, run["seeds"]), loaded.config)
    step, carry = restore(workdir, setting, loaded.config, options.checkpoint)
    values = setting.evaluate(carry.state)
    Console().print(table(values, f"{loaded.name}, evaluation of step {step}"))
    return 0


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
    known = {"latest": steps[-1], "best": checkpoints.best()}
    if which.isdigit():
        step = int(which)
    elif which in known:
        step = known[which]
    else:
        raise UserError(f"--checkpoint={which}: expected best, latest or a step")
    if step not in steps:
        there = ", ".join(map(str, steps))
        raise UserError(f"there is no checkpoint {which!r}; there is {there}")
    return step, checkpoints.restore(step, setting.program.abstract(setting.keys))
