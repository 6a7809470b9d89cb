"""`fdl plot`: draw the plots of a run anew, from any checkpoint."""

import argparse

from fdl.cli.arguments import add_checkpoint, add_run, add_seed
from fdl.cli.console import say, warn
from fdl.runs.directory import check_no_links
from fdl.runs.generative_plots import animate
from fdl.runs.open_run import open_run, restore
from fdl.runs.plots_of_run import draw, metric_plots_of, prediction_plots_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_run(parser)
    add_checkpoint(parser)
    add_seed(parser)
    parser.add_argument(
        "--gif", action="store_true", help="also animate the pictures of evaluations"
    )


def main(options: argparse.Namespace) -> int:
    """Draws all plots of a run."""
    run = open_run(options.workdir, warn, options.experiment)
    check_no_links(run.workdir)
    member = run.member(options.seed)
    step, loop_state = restore(
        run.workdir, run.setup, run.loaded.config, options.checkpoint
    )
    plots = metric_plots_of(run.workdir) + prediction_plots_of(
        run.workdir,
        run.experiments[member],
        run.variables_of(loop_state, member),
        run.title(step, member),
    )
    if options.gif:
        plots.append(("the animation", lambda: [animate(run.workdir)]))
    paths, all_drawn = draw(plots, warn)
    for path in paths:
        say(f"  {path}")
    return 0 if all_drawn else 1
