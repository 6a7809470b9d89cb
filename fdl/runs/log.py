"""Log of a run: metrics, timings, layer norms and samples as JSON lines."""

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fdl.errors import RunError
from fdl.files import identity, open_to_append, parse_object, read_bytes
from fdl.runs.directory import write_text, writing
from fdl.runs.tensorboard import Events

# Keys of timings and of layer norms, whose values are numbers by name.
NESTED = {"stages", "gradient", "activation"}


class RunLog:
    """Log of a run as JSON lines, and its metrics for TensorBoard.

    Args:
      workdir: Run directory.
      start: Step from which the run goes on.
    """

    def __init__(self, workdir: pathlib.Path, start: int):
        self._metrics = JsonLines(workdir / "metrics.jsonl", start)
        self._timings = JsonLines(workdir / "timings.jsonl", start)
        self._events = Events(workdir / "tensorboard", start)
        self._workdir, self._start = workdir, start
        self._layers: JsonLines | None = None
        self._samples: JsonLines | None = None

    def write(
        self, step: int, values: Mapping[str, Any], timing: Mapping[str, float]
    ) -> None:
        """Logs the metrics of a step, as of `to_json`; `RunError` if that fails."""
        self._metrics.write({"step": step, **values})
        self._timings.write({"step": step, **timing})
        self._events.write(step, values)

    def write_layers(self, step: int, norms: Mapping[str, Mapping[str, Any]]) -> None:
        """Logs the norms of each layer, in a file of their own."""
        if self._layers is None:
            # A run from the beginning logs step 0 again, so no line is kept.
            path = self._workdir / "layers.jsonl"
            self._layers = JsonLines(path, self._start or -1)
        self._layers.write({"step": step, **norms})

    def write_samples(self, step: int, text: str) -> None:
        """Logs the text that a model generates, in a file of its own."""
        if self._samples is None:
            self._samples = JsonLines(self._workdir / "samples.jsonl", self._start)
        self._samples.write({"step": step, "text": text})

    def write_stages(self, seconds: Mapping[str, float]) -> None:
        """Logs the seconds of each stage before the first step."""
        self._timings.write({"stages": seconds})

    def sync(self) -> None:
        """Flushes metrics, layer norms and samples to disk."""
        for file in self._flushed():
            file.sync()

    def close(self) -> None:
        """Closes all files."""
        for file in (*self._flushed(), self._timings):
            file.close()
        self._events.close()

    def _flushed(self) -> list["JsonLines"]:
        """Open files that a checkpoint vouches for."""
        files = (self._metrics, self._layers, self._samples)
        return [file for file in files if file is not None]


class JsonLines:
    """File of JSON objects, one on each line, appended without a buffer.

    Args:
      path: Path of the file.
      until: Step from which the run goes on. Lines of later steps and a partial last
        line are dropped, as they will be written again.
    """

    def __init__(self, path: pathlib.Path, until: int):
        self._path = path
        lines = [line for line in read_lines(path) if line.get("step", 0) <= until]
        write_text(path, "".join(json.dumps(line) + "\n" for line in lines))
        # Without a buffer, nothing is left over to fail when the file is closed.
        with writing(path):
            self._file = open_to_append(path)
            self._identity = identity(path)

    def write(self, line: Mapping[str, Any]) -> None:
        """Appends a line; `RunError` if that fails, or the file is there no more."""
        rest = (json.dumps(line, allow_nan=False) + "\n").encode()
        with self._in_place():
            while rest:  # Without a buffer, a write may take only some of the bytes.
                rest = rest[self._file.write(rest) :]

    def sync(self) -> None:
        """Flushes all lines to disk; `RunError` as `write`."""
        with self._in_place():
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    @contextlib.contextmanager
    def _in_place(self) -> Iterator[None]:
        """Raises `RunError` if what is written goes to a file that nobody finds."""
        with writing(self._path):
            yield
            if identity(self._path) != self._identity:
                raise RunError(f"{self._path} was removed or replaced by somebody else")


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """All complete lines of a file of JSON objects; none if there is no file.

    Raises:
      RunError: A line is damaged, or the file cannot be read.
    """
    rows: list[dict[str, Any]] = []
    try:
        lines = read_bytes(path).split(b"\n")
    except FileNotFoundError:
        return rows
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    # After the last newline there is nothing, or what a killed run wrote of a line.
    for number, line in enumerate(lines[:-1], start=1):
        try:
            row = parse_object(line)
            _check(row)
        except ValueError:
            raise RunError(f"{path} is damaged: line {number}") from None
        rows.append(row)
    return rows


def _check(row: Mapping[str, Any]) -> None:
    """Raises `ValueError` unless a line has a step, and else numbers or a text."""
    if type(row.get("step", 0 if "stages" in row else None)) is not int:
        raise ValueError("'step' is no integer")
    for name, value in row.items():
        if name == "text" and type(value) is str:  # That of samples.
            continue
        values = [value]
        if name in NESTED:
            values = [*value.values()] if isinstance(value, dict) else [{}]
        if not all(map(_is_number, values)):
            raise ValueError(f"{name!r} is no number")


def _is_number(value: Any) -> bool:
    """True for a number as `to_json` writes it, and for a list over seeds."""
    # No number that is written is so large, and Python's are of any size.
    return all(
        x is None or type(x) is float or (type(x) is int and abs(x) < 2**63)
        for x in (value if isinstance(value, list) else [value])
    )


def last_values(rows: Sequence[Mapping[str, Any]], split: str) -> dict[str, Any]:
    """Last logged metrics of a split, "eval" or "test", by name; empty if none are."""
    prefix = f"{split}/"
    for row in reversed(rows):
        values = {
            key.removeprefix(prefix): value
            for key, value in row.items()
            if key.startswith(prefix)
        }
        if values:
            return values
    return {}


def to_json(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Metrics for JSON: floats or lists over seeds, None for NaN and infinity."""
    path = f"{prefix}/" if prefix else ""

    def number(x):
        return float(x) if np.isfinite(x) else None

    def leaf(value):
        array = np.asarray(value, np.float64)
        return [number(x) for x in array] if array.ndim else number(array)

    return {f"{path}{name}": leaf(value) for name, value in values.items()}
