"""`fdl plot`: draw the plots of a run anew, from any checkpoint."""

import argparse

from fdl.cli.arguments import add_checkpoint, add_run, add_seed
from fdl.cli.console import warn
from fdl.runs.open_run import open_run
from fdl.runs.plots_of_run import draw, metric_plots_of, prediction_plots_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_run(parser)
    add_checkpoint(parser)
    add_seed(parser)


def main(options: argparse.Namespace) -> int:
    """Draws all plots of a run."""
    run = open_run(options.workdir, warn, options.experiment)
    plots = metric_plots_of(run.workdir) + prediction_plots_of(
        run.workdir,
        run.loaded,
        run.experiments,
        run.setup,
        options.checkpoint,
        run.member(options.seed),
    )
    paths, all_drawn = draw(plots, warn)
    for path in paths:
        print(f"  {path}")
    return 0 if all_drawn else 1
