"""`fdl list`: list the experiments of a folder."""

import argparse
import pathlib

from fdl.cli.console import say
from fdl.errors import UserError
from fdl.runs.experiment_files import files, name_of, summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("folder", nargs="?", default="experiments")


def main(options: argparse.Namespace) -> int:
    """Lists experiments with the first lines of their docstrings, without importing."""
    if not pathlib.Path(options.folder).is_dir():
        raise UserError(f"there is no folder {options.folder!r}: fdl list FOLDER")
    paths = files(options.folder)
    if not paths:
        raise UserError(f"there is no experiment in {options.folder!r}")
    width = max(len(name_of(path)) for path in paths)
    for path in paths:
        say(f"{name_of(path):{width}}  {summary(path)}")
    return 0
