"""What is told, and what to do when nobody reads it any more."""

import os
import sys
from typing import Any


def terminal() -> Any:
    """A rich console that takes a text as it is, with its [brackets] and :colons:."""
    from rich.console import Console

    return Console(soft_wrap=True, markup=False, emoji=False, highlight=False)


def prepare() -> None:
    """Lets no output fail for want of a letter, or of a place: it may be closed."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def silence() -> None:
    """Lets all further output vanish, so that nothing fails of it, nor the exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def warn(text: str) -> None:
    """Tells something in a line of its own."""
    print(f"fdl: {text}", file=sys.stderr)
