"""How arms of a comparison have ended, side by side."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fdl.metrics.t_interval import interval
from fdl.plots.class_names import literal
from fdl.plots.curves import learner_colors
from fdl.plots.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def comparison(
    values: Mapping[str, Mapping[str, np.ndarray]], *, title: str = ""
) -> "Figure":
    """Each arm as its mean over seeds with its 95 % interval, one panel a metric.

    Small dots are seeds. The interval is Student's t.

    Args:
      values: By metric, by arm in the order of the picture: one number a seed, [S].
        What is not finite is left out.
      title: Above.
    """
    columns = min(3, max(1, len(values)))
    rows = -(-len(values) // columns) or 1
    count = max((len(of) for of in values.values()), default=0)
    width = float(np.clip(1.5 + 0.45 * count, 4, 12 / columns + 2))
    figure = new_figure(width * columns, 3.6 * rows, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    every = list(dict.fromkeys(name for of in values.values() for name in of))
    tones = learner_colors(every)
    for axes in panels[len(values) :]:
        axes.set_axis_off()
    for axes, (metric, of) in zip(panels, values.items(), strict=False):
        found = {name: _finite(numbers) for name, numbers in of.items()}
        for place, (name, numbers) in enumerate(found.items()):
            _point(axes, place, numbers, tones[name])
        if _wide(metric, list(found.values())):
            axes.set_yscale("log")
        axes.set_title(literal(metric))
        long = max(map(len, of), default=0) > (12 if len(of) <= 3 else 30 / len(of))
        axes.set_xticks(range(len(of)), [*map(literal, of)], rotation=45 if long else 0)
        if long:
            for text in axes.get_xticklabels():
                text.set(ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.6, len(of) - 0.4)
        axes.grid(alpha=0.3, axis="y")
    return figure


def _finite(numbers) -> np.ndarray:
    numbers = np.atleast_1d(np.asarray(numbers, np.float64))
    return numbers[np.isfinite(numbers)]


def _point(axes, place: int, numbers: np.ndarray, color) -> None:
    if not numbers.size:
        return
    mean, _, half = interval(numbers)
    axes.errorbar(
        [place],
        [mean],
        [half] if numbers.size > 1 else None,
        color=color,
        marker="o",
        capsize=4,
    )
    if numbers.size > 1:
        beside = np.full(numbers.size, place + 0.22)
        axes.scatter(beside, numbers, s=8, color=color, alpha=0.5, linewidth=0)


def _wide(metric: str, values: list[np.ndarray]) -> bool:
    """Whether it is a loss that only a log scale shows."""
    numbers = np.concatenate([*values, np.ones(0)])
    if not metric.endswith("loss") or not numbers.size or numbers.min() <= 0:
        return False
    return bool(numbers.max() > 30 * numbers.min())
