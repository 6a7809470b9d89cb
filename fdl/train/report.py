"""What a run leaves to read: every number, line by line."""

import json
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from fdl.errors import RunError
from fdl.metrics.interval import interval as interval
from fdl.train.folder import write_text, writing
from fdl.train.tensorboard import Events


class Record:
    """All that is written down about a run while it goes on.

    Args:
      workdir: The run folder.
      start: The step that the run goes on from.
    """

    def __init__(self, workdir: pathlib.Path, start: int):
        self._metrics = Lines(workdir / "metrics.jsonl", start)
        self._timings = Lines(workdir / "timings.jsonl", start)
        self._events = Events(workdir / "tensorboard", start)
        self._layers: Lines | None = None
        self._place = workdir / "layers.jsonl", start
        self._began = time.perf_counter()

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds what was measured at a step, as JSON has it; `RunError` if it cannot."""
        self._metrics.write({"step": step, **values})
        seconds = time.perf_counter() - self._began
        self._timings.write({"step": step, "seconds": seconds})
        self._events.write(step, values)

    def write_layers(self, step: int, norms: Mapping[str, Mapping[str, Any]]) -> None:
        """Adds what was measured in each layer, in a file of its own."""
        if self._layers is None:
            path, start = self._place
            # A run that begins anew measures step 0 again.
            self._layers = Lines(path, start or -1)
        self._layers.write({"step": step, **norms})

    def write_stages(self, seconds: Mapping[str, float]) -> None:
        """Adds how long each stage before the first step took."""
        self._timings.write({"stages": seconds})

    def sync(self) -> None:
        """Sees what was measured to the disk."""
        self._metrics.sync()
        if self._layers is not None:
            self._layers.sync()

    def close(self) -> None:
        """Closes all files."""
        self._metrics.close()
        if self._layers is not None:
            self._layers.close()
        self._timings.close()
        self._events.close()


class Lines:
    """A file of JSON objects, one a line, written as they come.

    Args:
      path: The file.
      until: The step that the run goes on from: what was written behind it, or only
        in part, is dropped, as it will be written again.
    """

    def __init__(self, path: pathlib.Path, until: int):
        self._path = path
        kept = [line for line in lines(path) if line.get("step", 0) <= until]
        write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
        # Without a buffer, nothing is left over to fail when the file is closed.
        with writing(path):
            self._file = path.open("ab", buffering=0)

    def write(self, line: Mapping[str, Any]) -> None:
        """Appends a line; `RunError` if it cannot."""
        rest = (json.dumps(line, allow_nan=False) + "\n").encode()
        with writing(self._path):
            while rest:
                rest = rest[self._file.write(rest) :]

    def sync(self) -> None:
        """Sees the lines to the disk."""
        with writing(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """All whole lines of a file of JSON objects; none if there is no file.

    The last line may be written in part: the run was killed meanwhile.

    Raises:
      RunError: Another line is damaged, or the file cannot be read.
    """
    found: list[dict[str, Any]] = []
    if not path.exists():
        return found
    try:
        written = path.read_bytes().split(b"\n")
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    for number, line in enumerate(written[:-1], start=1):
        try:
            found.append(dict(json.loads(line)))
        except (ValueError, TypeError):
            raise RunError(f"{path} is damaged: line {number}") from None
    return found


def plain(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Metrics as JSON has them: floats, lists over seeds, None for no number."""
    before = f"{prefix}/" if prefix else ""

    def number(x):
        return float(x) if np.isfinite(x) else None

    def leaf(value):
        array = np.asarray(value, np.float64)
        return [number(x) for x in array] if array.ndim else number(array)

    return {f"{before}{name}": leaf(value) for name, value in values.items()}
