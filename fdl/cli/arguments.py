"""Arguments that several commands share."""

import argparse
import pathlib

from fdl.errors import UserError

MODEL = "directory of a run, an export, or a folder as Hugging Face lays it out"


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment, and accepts ``--config.KEY=VALUE``."""
    parser.add_argument(
        "experiment", help="a file, or a name that `fdl list` shows; FILE:ARG too"
    )
    parser.set_defaults(takes_config=True)
    parser.epilog = "--config.KEY=VALUE sets a key of the experiment's config."


def add_run(parser: argparse.ArgumentParser, text: str = "directory of a run") -> None:
    """Adds the run directory, with its help, and the path of its experiment's file."""
    parser.add_argument("workdir", help=text)
    parser.add_argument(
        "--experiment",
        metavar="FILE",
        help="the experiment's file: if it moved, changed, or came from elsewhere",
    )


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Adds the choice of a checkpoint."""
    parser.add_argument(
        "--checkpoint", default="latest", help="best, latest (default) or a step"
    )


def add_average(parser: argparse.ArgumentParser) -> None:
    """Adds the averaging of checkpoints."""
    parser.add_argument(
        "--average", type=int, metavar="N", help="average the last N checkpoints"
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Adds the choice of a seed."""
    parser.add_argument("--seed", type=int, help="default: the first of the run")


def output_path(name: str, suffixes: tuple[str, ...]) -> pathlib.Path:
    """Path of ``--output``; `UserError` if it has none of the suffixes."""
    path = pathlib.Path(name)
    if path.suffix not in suffixes:
        raise UserError(
            f"--output={name}: expected a name with {' or '.join(suffixes)}"
        )
    return path


def existing_output_path(
    name: str | None, suffixes: tuple[str, ...]
) -> pathlib.Path | None:
    """Path of ``--output`` in a directory that exists; None if it is not set.

    Raises:
      UserError: It has none of the suffixes, or there is no such directory.
    """
    if name is None:
        return None
    path = output_path(name, suffixes)
    if not path.parent.is_dir():
        raise UserError(f"--output={name}: there is no directory {path.parent}")
    return path
