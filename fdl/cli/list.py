"""`fdl list`: list the shipped experiments and one's own, or those of a folder."""

import argparse
import pathlib

from fdl.cli.console import print_columns
from fdl.errors import UserError
from fdl.runs.experiment_files import files, known_experiments, name_of, summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        "folder",
        nargs="?",
        help="default: the shipped experiments, those of the current folder, and "
        "those below its experiments/",
    )


def main(options: argparse.Namespace) -> int:
    """Lists experiments with the first lines of their docstrings, without importing."""
    if options.folder is None:
        named = sorted(known_experiments().items())
    else:
        if not pathlib.Path(options.folder).is_dir():
            raise UserError(f"there is no folder {options.folder!r}: fdl list FOLDER")
        named = [(name_of(path), path) for path in files(options.folder)]
    if not named:
        raise UserError(f"there is no experiment in {options.folder!r}")
    print_columns([(name, summary(path)) for name, path in named])
    return 0
