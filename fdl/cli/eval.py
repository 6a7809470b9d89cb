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
    from fdl.cli.train import compare
    from fdl.train import session, verdicts

    workdir = pathlib.Path(options.workdir)
    loaded, run = reload(workdir, options.experiment)
    start(keep_memory=loaded.config.keep_memory)
    experiments = loading.build(loaded, run["seeds"])
    with loading.user_code(loaded.path):
        setting = session.setting(experiments, loaded.config)
    compare(loaded, workdir, run["seeds"], setting.batches.fingerprint)
    step, carry = restore(workdir, setting, loaded.config, options.checkpoint)
    values = setting.evaluate(carry.state)
    console = Console(soft_wrap=True)
    console.print(f"{loaded.name}, evaluation at step {step}", highlight=False)
    console.print(table(values))
    for verdict in verdicts.verdicts(experiments[0].claims, values):
        console.print(str(verdict), highlight=False, markup=False)
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
