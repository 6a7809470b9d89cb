"""`fdl list`: the experiments of a folder, with their one-line docstrings."""

import argparse
import pathlib

from fdl.errors import UserError
from fdl.runs.experiment_files import files, name_of, summary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("folder", nargs="?", default="experiments")


def main(options: argparse.Namespace) -> int:
    """Lists experiments without importing them."""
    if not pathlib.Path(options.folder).is_dir():
        raise UserError(f"there is no folder {options.folder!r}: fdl list FOLDER")
    paths = files(options.folder)
    if not paths:
        raise UserError(f"there is no experiment in {options.folder!r}")
    width = max(len(name_of(path)) for path in paths)
    for path in paths:
        print(f"{name_of(path):{width}}  {summary(path)}")
    return 0
