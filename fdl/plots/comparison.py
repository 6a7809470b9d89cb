"""Plot of the final metrics of the learners of a comparison."""

import itertools
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from fdl.metrics.t_interval import interval
from fdl.plots.class_names import literal
from fdl.plots.curves import learner_colors
from fdl.plots.figure import drawable, new_figure


def comparison(
    values: Mapping[str, Mapping[str, np.ndarray]], *, title: str = ""
) -> Figure:
    """Mean over seeds of each learner with its 95 % interval, in a panel per metric.

    Small dots are single seeds. Intervals are those of Student's t distribution.

    Args:
      values: Final values by metric and by learner, in the order of the plot, each
        float [S] for S seeds. Values that are not finite are left out.
      title: Title of the figure; none if empty.
    """
    columns = min(3, max(1, len(values)))
    rows = -(-len(values) // columns) or 1
    num_learners = max((len(by_learner) for by_learner in values.values()), default=0)
    # In inches: room for the labels of all learners, up to the width of a page.
    width = float(np.clip(1.5 + 0.45 * num_learners, 4, 12 / columns + 2))
    figure = new_figure(width * columns, 3.6 * rows, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    # Metrics may be of different learners; a learner has one colour in all panels.
    names = [*dict.fromkeys(itertools.chain.from_iterable(values.values()))]
    tones = learner_colors(names)
    for axes in panels[len(values) :]:
        axes.set_axis_off()
    for axes, (metric, by_learner) in zip(panels, values.items(), strict=False):
        finite = {name: _finite(numbers) for name, numbers in by_learner.items()}
        for x, (name, numbers) in enumerate(finite.items()):
            _draw_arm(axes, x, numbers, tones[name])
        if _needs_log_scale(metric, list(finite.values())):
            axes.set_yscale("log")
        axes.set_title(literal(metric))
        # About 30 characters fit under a panel; longer labels would overlap.
        limit = 12 if len(by_learner) <= 3 else 30 / len(by_learner)
        rotated = max(map(len, by_learner), default=0) > limit
        labels = [*map(literal, by_learner)]
        axes.set_xticks(range(len(labels)), labels, rotation=45 if rotated else 0)
        if rotated:
            # Rotated about their ends, labels stay below their ticks.
            for text in axes.get_xticklabels():
                text.set(ha="right", rotation_mode="anchor")
        axes.set_xlim(-0.6, len(by_learner) - 0.4)
        axes.grid(alpha=0.3, axis="y")
    return figure


def _finite(numbers) -> np.ndarray:
    numbers = np.atleast_1d(np.asarray(numbers, np.float64))
    return drawable(numbers[np.isfinite(numbers)])


def _draw_arm(axes, x: int, numbers: np.ndarray, color) -> None:
    if not numbers.size:
        return
    mean, _, half = interval(numbers)
    axes.errorbar(
        [x],
        [mean],
        [half] if numbers.size > 1 else None,
        color=color,
        marker="o",
        capsize=4,
    )
    if numbers.size > 1:
        beside = np.full(numbers.size, x + 0.22)
        axes.scatter(beside, numbers, s=8, color=color, alpha=0.5, linewidth=0)


def _needs_log_scale(metric: str, values: list[np.ndarray]) -> bool:
    """True if a metric is a positive loss that spans more than a factor of 30."""
    numbers = np.concatenate([*values, np.ones(0)])
    if not metric.endswith("loss") or not numbers.size or numbers.min() <= 0:
        return False
    return bool(numbers.max() > 30 * numbers.min())
