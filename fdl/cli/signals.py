"""Signals that ask a run to stop."""

import contextlib
import os
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def stoppable() -> Iterator[list[int]]:
    """Records SIGINT, SIGTERM and SIGHUP instead of ending; a second signal kills.

    Yields:
      List that the first signal is appended to.
    """
    received: list[int] = []

    def record(number, frame):
        del frame
        if received:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        received.append(number)
        # Not by `print`, which is not re-entrant: a signal may interrupt another print.
        with contextlib.suppress(OSError):
            os.write(2, b"\nfdl: stopping after this step; once more to kill\n")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    # A signal that is ignored, as SIGHUP under nohup, stays ignored.
    before = {n: signal.getsignal(n) for n in numbers}
    before = {n: f for n, f in before.items() if f is not signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, record)
        yield received
    finally:
        # A handler that was not set in Python is None.
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
