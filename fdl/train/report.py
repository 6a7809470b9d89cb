"""What a run leaves to read: metrics, timings, curves and TensorBoard events."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from fdl.errors import RunError
from fdl.train.folder import read_json


class Lines:
    """A file of JSON objects, one a line, written as they come.

    Args:
      path: The file.
      until: The step that the run goes on from: what was written behind it, or only
        in part, is dropped, as it will be written again.
    """

    def __init__(self, path: pathlib.Path, until: int):
        self._path = path
        try:
            kept = [line for line in lines(path) if line.get("step", 0) <= until]
            part = path.with_name(path.name + ".part")
            part.write_text("".join(json.dumps(line) + "\n" for line in kept))
            part.rename(path)
            self._file = path.open("a")
        except OSError as error:
            raise RunError(f"cannot write {path}: {error.strerror}") from error

    def write(self, line: Mapping[str, Any]) -> None:
        """Appends a line; `RunError` if it cannot."""
        try:
            self._file.write(json.dumps(line, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise RunError(f"cannot write {self._path}: {error.strerror}") from error

    def sync(self) -> None:
        """Sees the lines to the disk."""
        os.fsync(self._file.fileno())


def lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """All whole lines of a file of JSON objects; none if there is no file."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break  # The run was killed while it wrote this line.
    return found


def plain(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Metrics as JSON has them: floats, lists over seeds, None for what is no number."""

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
      Three floats; the last two are NaN for a single seed.
    """
    from scipy import stats

    values = np.asarray(values, np.float64)
    if values.size < 2:
        return float(values.mean()), float("nan"), float("nan")
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
    names = sorted(series, key=lambda name: (name != "loss", name))
    columns = min(3, max(1, len(names)))
    rows = -(-len(names) // columns) or 1
    figure = Figure(figsize=(5 * columns, 3.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(read_json(workdir / "run.json")["experiment"])
    for place, name in enumerate(names, start=1):
        axes = figure.add_subplot(rows, columns, place)
        for split, color in (("train", "tab:blue"), ("eval", "tab:orange")):
            if split in series[name]:
                _draw(axes, series[name][split], split, color)
        axes.set_title(name)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.legend()
    path = workdir / "curves.png"
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error
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


def _draw(axes, points, label, color) -> None:
    steps = [step for step, _ in points]
    values = np.array([np.ravel(value).astype(float) for _, value in points])
    mean = np.nanmean(values, axis=1)
    axes.plot(
        steps, mean, label=label, color=color, marker="." if len(steps) < 3 else ""
    )
    if values.shape[1] > 1:
        spread = [interval(row[np.isfinite(row)])[2] for row in values]
        axes.fill_between(steps, mean - spread, mean + spread, color=color, alpha=0.2)
        axes.plot(steps, values, color=color, alpha=0.25, linewidth=0.7)


class Events:
    """TensorBoard events, where the extra ``tensorboard`` is installed.

    Args:
      directory: Where they lie.
      start: The step that the run goes on from; later ones are purged.
    """

    def __init__(self, directory: pathlib.Path, start: int):
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            self._writer = None
            return
        self._writer = SummaryWriter(str(directory), purge_step=start + 1)

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds scalars; the mean over seeds."""
        if self._writer is not None:
            for name, value in values.items():
                if value is not None:
                    self._writer.add_scalar(name, float(np.mean(value)), step)

    def close(self) -> None:
        """Sees them to the disk."""
        if self._writer is not None:
            self._writer.close()
