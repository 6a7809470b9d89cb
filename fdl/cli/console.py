"""Console output, safe against closed streams and missing encodings."""

import contextlib
import os
import select
import sys
from typing import Any


def console() -> Any:
    """Rich console that prints a text as it is, with its [brackets] and :colons:."""
    # Rich takes a fifth of a second: `fdl --help` goes without it.
    from rich.console import Console

    return Console(soft_wrap=True, markup=False, emoji=False, highlight=False)


def prepare() -> None:
    """Keeps output from failing at a character without encoding, or a closed stream."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        # Python sets a stream to None if its file descriptor was closed at the start.
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def reader_gone() -> bool:
    """True if nobody reads the output any more, as of ``fdl list | head -1``."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # It may be no file, or closed.
            poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def silence() -> None:
    """Discards all further output, after its reader has gone."""
    # Redirected rather than closed: Python flushes standard output once more at exit.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def warn(text: str) -> None:
    """Prints a warning on a line of its own."""
    print(f"fdl: {text}", file=sys.stderr)
