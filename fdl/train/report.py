"""What a run leaves to read: metrics, timings, curves and TensorBoard events."""

import json
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from fdl.errors import RunError
from fdl.train.folder import read_json, write_text, writing


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
        self._began = time.perf_counter()

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds what was measured at a step, as JSON has it; `RunError` if it cannot."""
        self._metrics.write({"step": step, **values})
        seconds = time.perf_counter() - self._began
        self._timings.write({"step": step, "seconds": seconds})
        self._events.write(step, values)

    def write_stages(self, seconds: Mapping[str, float]) -> None:
        """Adds how long each stage before the first step took."""
        self._timings.write({"stages": seconds})

    def sync(self) -> None:
        """Sees the metrics to the disk."""
        self._metrics.sync()

    def close(self) -> None:
        """Closes all files."""
        self._metrics.close()
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


def plain(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Metrics as JSON has them: floats, lists over seeds, None for no number."""

    def number(x):
        return float(x) if np.isfinite(x) else None

    def leaf(value):
        array = np.asarray(value, np.float64)
        return [number(x) for x in array] if array.ndim else number(array)

    return {f"{prefix}/{name}": leaf(value) for name, value in values.items()}


def interval(values: Any) -> tuple[float, float, float]:
    """Mean, standard error and half a 95 % interval (Student's t) over seeds.

    Args:
      values: One number per seed, float [S].

    Returns:
      Three floats; the last two are NaN for a single seed, all three for none.
    """
    from scipy import stats

    values = np.asarray(values, np.float64)
    if values.size < 2:
        return float(values.sum() if values.size else "nan"), float("nan"), float("nan")
    error = float(values.std(ddof=1) / np.sqrt(values.size))
    return (
        float(values.mean()),
        error,
        float(stats.t.ppf(0.975, values.size - 1)) * error,
    )


def curves(workdir: pathlib.Path) -> pathlib.Path:
    """Draws every metric over the steps into ``curves.png``, seeds as a shade.

    Returns:
      The path of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    series = _series(lines(workdir / "metrics.jsonl"))
    names = sorted(series, key=lambda n: (n != "loss", n == "grad_norm", n))
    columns = min(3, max(1, len(names)))
    rows = -(-len(names) // columns) or 1
    figure = Figure(figsize=(5 * columns, 3.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    run = read_json(workdir / "run.json")
    seeds = f"{run['seeds']} seeds: each, their mean and its 95 % interval"
    figure.suptitle(
        run["experiment"] + (f" ({seeds})" if run["seeds"] > 1 else ""), fontsize=11
    )
    for place, name in enumerate(names, start=1):
        axes = figure.add_subplot(rows, columns, place)
        for split, color in (("train", "tab:blue"), ("eval", "tab:orange")):
            if split in series[name]:
                _draw(axes, series[name][split], split, color)
        if name.endswith("loss") and _positive(series[name]):
            axes.set_yscale("log")
        axes.set_title(name)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.legend()
    path = workdir / "curves.png"
    with writing(path):
        figure.savefig(path, dpi=110)
    return path


def _series(rows: list[dict]) -> dict[str, dict[str, list[tuple[int, Any]]]]:
    found: dict[str, dict[str, list]] = {}
    for row in rows:
        for key, value in row.items():
            split, _, name = key.partition("/")
            if name and value is not None:
                found.setdefault(name, {}).setdefault(split, []).append(
                    (row["step"], value)
                )
    return found


def _positive(splits: Mapping[str, list[tuple[int, Any]]]) -> bool:
    values = [np.ravel(value) for points in splits.values() for _, value in points]
    return bool((np.concatenate(values).astype(float) > 0).all())


def _draw(axes, points, label, color) -> None:
    steps = [step for step, _ in points]
    values = np.array([np.ravel(value).astype(float) for _, value in points])
    mean = [interval(row[np.isfinite(row)])[0] for row in values]
    axes.plot(
        steps, mean, label=label, color=color, marker="." if len(steps) < 20 else ""
    )
    if values.shape[1] > 1:
        spread = [interval(row[np.isfinite(row)])[2] for row in values]
        low, high = np.subtract(mean, spread), np.add(mean, spread)
        axes.fill_between(steps, low, high, color=color, alpha=0.2)
        axes.plot(steps, values, color=color, alpha=0.25, linewidth=0.7)


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
        """Adds scalars; the mean over seeds."""
        if self._writer is None:
            return
        from tensorboardX.summary import scalar

        for name, value in values.items():
            if value is not None and "/" in name:
                self._write(step, summary=scalar(name, float(np.mean(value))))
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
