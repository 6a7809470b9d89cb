"""`fdl embed`: embed examples by a trained model."""

import argparse

from fdl.cli import abilities


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    abilities.add_arguments(parser)


def main(options: argparse.Namespace) -> int:
    """Reads examples, embeds each, and writes a row for each."""
    return abilities.answer("embed", options)
