"""`fdl eval`: evaluate a checkpoint of a run."""

import argparse

from fdl.cli.arguments import add_average, add_checkpoint, add_run
from fdl.cli.console import console, warn
from fdl.cli.progress import show_metrics
from fdl.runs.claims import evaluate_claims
from fdl.runs.experiment import num_folds
from fdl.runs.open_run import open_run, restore_variables


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_run(parser)
    add_checkpoint(parser)
    add_average(parser)


def main(options: argparse.Namespace) -> int:
    """Evaluates the latest checkpoint, the best, that of a step, or an average."""
    run = open_run(options.workdir, warn, options.experiment)
    steps, variables = restore_variables(run, options.checkpoint, options.average)
    values = run.setup.evaluate(variables)
    out, what = console(), "fold" if num_folds(run.loaded.config) else ""
    at = f"at step {steps[-1]}"
    if len(steps) > 1:
        at = f"of the average of steps {', '.join(map(str, steps))}"
    first = run.experiments[0]
    out.print(f"{run.loaded.name}, validation {at}")
    show_metrics(out, values, what, first.signatures)
    if run.setup.test is not None:
        values = run.setup.test(variables)
        out.print(f"test {at}")
        show_metrics(out, values, what, first.signatures)
    for verdict in evaluate_claims(first.claims, values):
        out.print(str(verdict))
    return 0
