"""TensorBoard events."""

import pathlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from fdl.train.folder import writing


class Events:
    """TensorBoard events, where the extra ``tensorboard`` is installed.

    Args:
      directory: Where they lie.
      start: The step that the run goes on from; later ones are purged.
    """

    def __init__(self, directory: pathlib.Path, start: int):
        self._writer: Any = None
        try:
            from tensorboardX import event_file_writer, proto
        except ImportError:
            return
        self._directory, self._event = directory, proto.event_pb2.Event
        with writing(directory):
            directory.mkdir(exist_ok=True)
            # Its SummaryWriter hands events to a thread, and waits for ever on one
            # that a full disk has killed.
            self._writer = event_file_writer.EventsWriter(str(directory / "events"))
        if start:
            log = proto.event_pb2.SessionLog(status=proto.event_pb2.SessionLog.START)
            self._write(start + 1, session_log=log)

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds scalars; the mean over the seeds that have a number."""
        if self._writer is None:
            return
        from tensorboardX.summary import scalar

        for name, value in values.items():
            numbers = np.array(value, np.float64)  # What is None becomes NaN.
            numbers = numbers[np.isfinite(numbers)]
            if numbers.size and "/" in name:
                self._write(step, summary=scalar(name, float(numbers.mean())))
        with writing(self._directory):
            self._writer.flush()

    def close(self) -> None:
        """Sees them to the disk."""
        if self._writer is not None:
            with writing(self._directory):
                self._writer.close()

    def _write(self, step: int, **what: Any) -> None:
        with writing(self._directory):
            self._writer.write_event(
                self._event(wall_time=time.time(), step=step, **what)
            )
