"""Plots of the metrics that a run has logged, in its directory."""

import pathlib
import re
from typing import Any

import numpy as np

from fdl import plots
from fdl.files import read_json
from fdl.metrics.names import in_order
from fdl.plots.curves import Points, learners_of
from fdl.runs.directory import writing
from fdl.runs.experiment import replicates
from fdl.runs.log import last_values, read_lines

FOLDER = "plots"


def draw(workdir: pathlib.Path) -> pathlib.Path:
    """Draws every metric over the steps into ``curves.png``.

    Returns:
      Path of the file.

    Raises:
      RunError: The file cannot be written.
    """
    rows = read_lines(workdir / "metrics.jsonl")
    figure = plots.curves(series(rows), order(rows), title=heading(workdir))
    path = workdir / "curves.png"
    with writing(path):
        return plots.save(figure, path)


def draw_comparison(workdir: pathlib.Path) -> pathlib.Path | None:
    """Draws the test of compared learners into ``plots/comparison.png``.

    Where there is no test, it is the last validation.

    Returns:
      Path of the file; None if no metric is called ``learner/metric``.

    Raises:
      RunError: The file cannot be written.
    """
    rows = read_lines(workdir / "metrics.jsonl")
    split = "test" if last_values(rows, "test") else "eval"
    last: dict[str, dict[str, np.ndarray]] = {}
    for learner in order(rows):
        for name, value in last_values(rows, split).items():
            prefix, _, metric = name.rpartition("/")
            if prefix == learner and value is not None:
                values = np.ravel(value).astype(float)
                last.setdefault(metric, {})[learner] = values
    if not last:
        return None
    last = {metric: last[metric] for metric in in_order(last)}
    what = "test" if split == "test" else "validation"
    title = f"{heading(workdir)}, {what} at step {rows[-1]['step']}"
    return save(plots.comparison(last, title=title), workdir, "comparison.png")


def draw_layers(workdir: pathlib.Path) -> pathlib.Path | None:
    """Draws the norms of each layer into ``plots/layers.png``.

    Returns:
      Path of the file; None if no norms were logged.

    Raises:
      RunError: The file cannot be written.
    """
    rows = read_lines(workdir / "layers.jsonl")
    if not rows:
        return None
    steps = [row["step"] for row in rows]
    norms = [
        {name: _column(rows, kind, name) for name in rows[0][kind]}
        for kind in ("gradient", "activation")
    ]
    title = _title(workdir, ", median of {}")
    return save(plots.layer_stats(steps, *norms, title=title), workdir, "layers.png")


def save(figure: Any, workdir: pathlib.Path, name: str) -> pathlib.Path:
    """Writes a plot into ``plots/`` of a run directory; `RunError` if that fails."""
    path = workdir / FOLDER / name
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        return plots.save(figure, path)


def heading(workdir: pathlib.Path) -> str:
    """Title of a plot: the experiment, and how many seeds or folds, if several."""
    return _title(workdir, " ({}: their mean and its 95 % interval)")


def series(rows: list[dict[str, Any]]) -> dict[str, dict[str, Points]]:
    """Rows of ``metrics.jsonl`` by metric and split: steps [T] and values [T, S]."""
    metrics: dict[str, dict[str, list]] = {}
    for row in rows:
        for key, value in row.items():
            split, _, name = key.partition("/")
            # Keys without a split are counters: the step, the epoch, examples.
            if name and split != "test" and value is not None:
                # The None of a seed without a value becomes NaN.
                values = np.ravel(value).astype(float)
                metrics.setdefault(name, {}).setdefault(split, []).append(
                    (row["step"], values)
                )
    return {
        name: {
            split: ([step for step, _ in points], np.array([x for _, x in points]))
            for split, points in splits.items()
        }
        for name, splits in metrics.items()
    }


def order(rows: list[dict[str, Any]]) -> list[str]:
    """Compared learners in the order of the evaluation.

    JAX sorts the keys of a dict that passes through a compiled program, so that "width
    16" precedes "width 2". Names in alphabetical order are therefore sorted again, by
    the values of the numbers in them.
    """
    keys = [key.partition("/") for row in rows for key in row]
    splits = sorted({split for split, _, _ in keys}, key=lambda split: split != "eval")
    names = [name for split in splits for s, _, name in keys if s == split]
    learners = learners_of(dict.fromkeys(names))

    # The text and the numbers of a name alternate, so each is compared with its kind.
    def natural(learner):
        parts = re.split(r"(\d+(?:\.\d+)?)", learner)
        return [(float(p), "") if i % 2 else (0.0, p) for i, p in enumerate(parts)]

    return sorted(learners, key=natural) if learners == sorted(learners) else learners


def _title(workdir: pathlib.Path, of_several: str) -> str:
    """Name of the experiment, with a text on its seeds or folds if it has several."""
    run, config = (read_json(workdir / x) for x in ("run.json", "config.json"))
    several = replicates(run["seeds"], config)
    return run["experiment"] + (of_several.format(several) if several else "")


def _column(rows: list[dict[str, Any]], kind: str, name: str) -> np.ndarray:
    """Norms of one layer, float [T, S]; NaN where they were not finite."""
    return np.array([np.ravel(row[kind].get(name)).astype(float) for row in rows])
