"""Every metric of a run over its steps, as a picture."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from fdl.train.folder import read_json, writing
from fdl.train.report import interval, lines


def draw(workdir: pathlib.Path) -> pathlib.Path:
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
