"""What is told, and what to do when nobody reads it any more."""

import os
import sys


def silence() -> None:
    """Lets all further output vanish, so that nothing fails of it, nor the exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def warn(text: str) -> None:
    """Tells something in a line of its own."""
    print(f"fdl: {text}", file=sys.stderr)
