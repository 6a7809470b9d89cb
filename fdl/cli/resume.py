"""`fdl resume`: go on with a run that was stopped."""

import argparse
import pathlib

from fdl.cli import train
from fdl.cli.recorded import reload


def main(options: argparse.Namespace) -> int:
    """Goes on with a run, from its folder alone."""
    with train.stoppable() as stopped:
        workdir = pathlib.Path(options.workdir)
        loaded, run = reload(workdir, options.experiment)
        return train.run(loaded, workdir, run["seeds"], stopped)
