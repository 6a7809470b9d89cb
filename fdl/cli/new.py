"""`fdl new`: copy an experiment to a file of one's own."""

import argparse
import pathlib
import shlex

from fdl.cli.console import say
from fdl.errors import UserError, reason
from fdl.runs.experiment_files import find, name_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument("file", help="path of the new file, such as mine.py")
    parser.add_argument(
        "--like",
        required=True,
        metavar="EXPERIMENT",
        help="the experiment to copy: a file, or a name that `fdl list` shows",
    )


def main(options: argparse.Namespace) -> int:
    """Copies the file of an experiment, and never over another file."""
    path = pathlib.Path(options.file)
    if path.suffix != ".py":
        raise UserError(f"file={options.file}: expected a name with .py")
    original = find(options.like)
    try:
        content = original.read_bytes()
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise UserError(f"file={options.file}: it exists already") from None
    except (OSError, ValueError) as error:
        raise UserError(f"file={options.file}: {reason(error)}") from error
    say(f"{path}  a copy of {name_of(original)}; to train it:")
    say(f"fdl train {shlex.quote(str(path))}")
    return 0
