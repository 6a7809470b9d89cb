"""`fdl resume`: go on with a run that was stopped."""

import argparse
import pathlib

from fdl.cli import train
from fdl.cli.arguments import add_run
from fdl.runs.record import reload


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_run(parser)


def main(options: argparse.Namespace) -> int:
    """Resumes a run by the record in its directory."""
    workdir = pathlib.Path(options.workdir)
    loaded, run = reload(workdir, options.experiment)
    return train.run(loaded, workdir, run["seeds"], options.stopped)
