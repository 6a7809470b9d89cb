"""TensorBoard event files."""

import pathlib
import socket
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from fdl.runs.directory import writing

PREFIX = "events.out.tfevents."


class Events:
    """TensorBoard event file; nothing is written without the extra ``tensorboard``.

    Args:
      directory: Directory of the event files.
      start: Step from which the run goes on; events of later steps are purged.
    """

    def __init__(self, directory: pathlib.Path, start: int):
        self._writer: Any = None
        try:
            from tensorboardX import proto
            from tensorboardX.record_writer import RecordWriter
        except ImportError:
            return
        self._directory, self._event = directory, proto.event_pb2.Event
        with writing(directory):
            directory.mkdir(exist_ok=True)
            # Also at step 0: a session may have ended before its first checkpoint.
            purge = start > 0 or any(directory.glob(f"{PREFIX}*"))
            # Not SummaryWriter: it hands events to a thread, and waits for ever when a
            # full disk has killed that thread. Nor EventsWriter: it names files by the
            # second, and overwrites that of a session in the same one.
            self._writer = RecordWriter(str(new_path(directory)))
        self._write(0, file_version="brain.Event:2")
        if purge:
            # TensorBoard drops what earlier files hold from the step of this event on.
            log = proto.event_pb2.SessionLog(status=proto.event_pb2.SessionLog.START)
            self._write(start + 1, session_log=log)

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes scalars: the mean over the seeds whose value is finite."""
        if self._writer is None:
            return
        from tensorboardX.summary import scalar

        for name, value in values.items():
            numbers = np.array(value, np.float64)  # None becomes NaN.
            numbers = numbers[np.isfinite(numbers)]
            # A name without a slash counts epochs or examples, and is no metric.
            if numbers.size and "/" in name:
                self._write(step, summary=scalar(name, float(numbers.mean())))
        with writing(self._directory):
            self._writer.flush()

    def close(self) -> None:
        """Closes the file, flushed to disk."""
        if self._writer is not None:
            with writing(self._directory):
                self._writer.close()

    def _write(self, step: int, **content: Any) -> None:
        with writing(self._directory):
            event = self._event(wall_time=time.time(), step=step, **content)
            self._writer.write(event.SerializeToString())


def new_path(directory: pathlib.Path) -> pathlib.Path:
    """Path of a new event file, after all others in the order of their names.

    TensorBoard reads the files of a directory in this order. The names are as usual,
    ``events.out.tfevents.SECONDS.HOST``; but of sessions in the same second, or with a
    clock that was set back, the seconds are counted on from the last file.
    """
    there = [path.name.split(".") for path in directory.glob(f"{PREFIX}*")]
    seconds = [int(parts[3]) for parts in there if parts[3].isdecimal()]
    number = max([int(time.time()), *(last + 1 for last in seconds)])
    return directory / f"{PREFIX}{number:010}.{socket.gethostname()}"
