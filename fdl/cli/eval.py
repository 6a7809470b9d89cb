"""`fdl eval`: evaluate a checkpoint of a run."""

import argparse

from fdl.cli.arguments import add_checkpoint, add_run
from fdl.cli.console import console, warn
from fdl.cli.progress import show_metrics
from fdl.runs.claims import evaluate_claims
from fdl.runs.experiment import num_folds
from fdl.runs.open_run import open_run, restore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_run(parser)
    add_checkpoint(parser)


def main(options: argparse.Namespace) -> int:
    """Evaluates the latest checkpoint, the best or that of a step."""
    run = open_run(options.workdir, warn, options.experiment)
    config = run.loaded.config
    step, loop_state = restore(run.workdir, run.setup, config, options.checkpoint)
    variables = run.setup.learner.variables(loop_state.state)
    values = run.setup.evaluate(variables)
    out, what = console(), "fold" if num_folds(config) else ""
    out.print(f"{run.loaded.name}, validation at step {step}")
    show_metrics(out, values, what)
    if run.setup.test is not None:
        values = run.setup.test(variables)
        out.print(f"test at step {step}")
        show_metrics(out, values, what)
    for verdict in evaluate_claims(run.experiments[0].claims, values):
        out.print(str(verdict))
    return 0
