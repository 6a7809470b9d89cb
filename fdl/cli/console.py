"""Console output, safe against closed streams and missing encodings."""

import os
import sys
from typing import Any

from fdl.errors import printable


def console(**options: Any) -> Any:
    """Rich console that prints a text as it is, with its [brackets] and :colons:.

    What could control the terminal, wherever it is from, is made printable here, in
    `say`, `write` and `warn`, and nowhere else.

    Args:
      **options: Further arguments of `rich.console.Console`.
    """
    # Rich takes a fifth of a second: `fdl --help` goes without it.
    from rich.console import Console

    class Printable(Console):
        def render_str(self, text, **style):
            """Renders a text, be it a line of its own or a cell of a table."""
            return super().render_str(printable(text), **style)

    plain = {"soft_wrap": True, "markup": False, "emoji": False, "highlight": False}
    return Printable(**{**plain, **options})


def say(text: str, **options: Any) -> None:
    """Prints a line; the options are those of `print`."""
    print(printable(text), **options)


def write(text: str) -> None:
    """Writes text as it is into a file or pipe, and printable on a terminal."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)


def prepare() -> None:
    """Keeps output from failing at a character without encoding, or a closed stream."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        # Python sets a stream to None if its file descriptor was closed at the start.
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def silence() -> None:
    """Discards all further output, after its reader has gone."""
    # Redirected rather than closed: Python flushes standard output once more at exit.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def warn(text: str) -> None:
    """Prints a warning on a line of its own."""
    say(f"fdl: {text}", file=sys.stderr)
