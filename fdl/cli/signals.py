"""Signals that ask a run to stop."""

import contextlib
import os
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def stoppable() -> Iterator[list[int]]:
    """Notes Ctrl-C, SIGTERM and a lost terminal instead of dying; a second one kills.

    Yields:
      A list that holds the signal once it came.
    """
    came: list[int] = []

    def note(number, frame):
        del frame
        if came:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        came.append(number)
        # Not by print: a signal may come amid another one, which is not re-entrant.
        with contextlib.suppress(OSError):
            os.write(2, b"\nfdl: stopping after this step; once more to kill\n")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # What is ignored, say by nohup, stays ignored.
    before = {n: signal.getsignal(n) for n in numbers}
    before = {n: f for n, f in before.items() if f is not signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, note)
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
