"""TensorBoard event files."""

import pathlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from fdl.runs.directory import writing


class Events:
    """TensorBoard event file; nothing is written without the extra ``tensorboard``.

    Args:
      directory: Directory of the event files.
      start: Step from which the run goes on; events of later steps are purged.
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
            # Not SummaryWriter: it hands events to a thread, and waits for ever when a
            # full disk has killed that thread.
            self._writer = event_file_writer.EventsWriter(str(directory / "events"))
        if start:
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
            self._writer.write_event(
                self._event(wall_time=time.time(), step=step, **content)
            )
