"""Training curves: metrics of runs over steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fdl.metrics.names import in_order
from fdl.metrics.t_interval import interval
from fdl.plots.class_names import literal
from fdl.plots.figure import COLORS, colors, drawable, new_figure, step_axis

MANY = 10  # From so many learners on, colours are a sequence from dark to light.
MOST_NAMED = 6  # Learners in the legend, if there are many.
Points = tuple[Sequence[int], np.ndarray]  # Steps [T], and values [T, S] of S seeds.


def curves(
    series: Mapping[str, Mapping[str, Points]],
    learners: Sequence[str] = (),
    *,
    title: str = "",
) -> Figure:
    """Plots metrics over steps: the mean over seeds and its 95 % interval.

    Each metric has a panel. Metrics named ``learner/metric`` share the panel of their
    metric, with a colour for each learner: dashed for training, solid for evaluation.
    The colours of ten or more learners go from dark to light.

    Args:
      series: Points by metric and by split ("train" or "eval"): steps, [T], and values,
        [T, S] for S seeds.
      learners: Order of the learners; that of the metrics if empty.
      title: Title of the figure; none if empty.

    Example:
      >>> figure = curves({"loss": {"train": ([1, 2], np.array([[1.0], [0.5]]))}})
      >>> figure.axes[0].get_title(), figure.axes[0].get_lines()[0].get_ydata()
      ('loss', array([1. , 0.5]))
    """
    series = {
        name: {split: (t, drawable(values)) for split, (t, values) in splits.items()}
        for name, splits in series.items()
    }
    learners = [*learners] or learners_of(series)
    tones = learner_colors(learners)
    panels = _panels(series)
    columns = min(3, max(1, len(panels)))
    rows = -(-len(panels) // columns) or 1
    legend_width = 1.6 if learners else 0.0
    figure = new_figure(5 * columns + legend_width, 3.4 * rows, title)
    for index, ((metric, _), names) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(rows, columns, index)
        for name in names:
            learner = name.rpartition("/")[0]
            if learner:
                _draw_arm(axes, series[name], tones[learner])
            else:
                _draw_alone(axes, series[name])
        if metric.endswith("loss") and _positive([series[name] for name in names]):
            axes.set_yscale("log")
        axes.set_title(literal(metric))
        step_axis(axes)
    if learners:
        _legend(figure, tones)
    return figure


def learners_of(series: Mapping[str, Any]) -> list[str]:
    """Learners of the metrics named ``learner/metric``, in order of appearance.

    Example:
      >>> learners_of({"loss": 0, "relu/loss": 0, "relu/accuracy": 0, "tanh/loss": 0})
      ['relu', 'tanh']
    """
    learners = (name.rpartition("/")[0] for name in series)
    return [*dict.fromkeys(learner for learner in learners if learner)]


def learner_colors(learners: Sequence[str]) -> dict[str, Any]:
    """Colour of each learner; for ten or more learners, from dark to light."""
    tones = colors(len(learners), ordered=len(learners) >= MANY)
    return dict(zip(learners, tones, strict=True))


def _panels(series: Mapping[str, Any]) -> dict[tuple[str, bool], list[str]]:
    """Series of each panel, by metric and by whether they compare learners."""
    panels: dict[tuple[str, bool], list[str]] = {}
    for name in series:
        learner, _, metric = name.rpartition("/")
        panels.setdefault((metric, bool(learner)), []).append(name)
    order = in_order(sorted({metric for metric, _ in panels}))
    by_rank = sorted(panels, key=lambda panel: (order.index(panel[0]), panel[1]))
    return {panel: panels[panel] for panel in by_rank}


def _draw_alone(axes, splits: Mapping[str, Points]) -> None:
    for split, color in (("train", COLORS[0]), ("eval", COLORS[1])):
        if split in splits:
            steps, values = splits[split]
            _draw(axes, steps, values, color=color, label=split)
            if values.shape[1] > 1:
                axes.plot(steps, values, color=color, alpha=0.25, linewidth=0.7)
    axes.legend()


def _draw_arm(axes, splits: Mapping[str, Points], color: Any) -> None:
    for split, style in (("train", "--"), ("eval", "-")):
        if split in splits:
            _draw(axes, *splits[split], color=color, linestyle=style, linewidth=1.2)


def _draw(axes, steps, values, color, **style) -> None:
    # A seed that diverges does not hide the others: only finite values are averaged.
    intervals = [interval(row[np.isfinite(row)]) for row in values]
    mean, _, half_width = np.array(intervals).reshape(-1, 3).T
    marker = "." if len(steps) < 20 else ""
    axes.plot(steps, mean, color=color, marker=marker, **style)
    if values.shape[1] > 1:
        low, high = mean - half_width, mean + half_width
        axes.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)


def _legend(figure, tones: Mapping[str, Any]) -> None:
    names = [*tones]
    if len(names) >= MANY:
        # Evenly spaced learners explain a sequence of colours well enough.
        chosen = np.linspace(0, len(names) - 1, MOST_NAMED).round().astype(int)
        names = [names[i] for i in chosen]
    lines = [Line2D([], [], color=tones[name], label=literal(name)) for name in names]
    lines.append(Line2D([], [], color="0.3", linestyle="--", label="train"))
    lines.append(Line2D([], [], color="0.3", linestyle="-", label="eval"))
    all_named = len(names) == len(tones)
    figure.legend(
        handles=lines,
        loc="outside right upper",
        fontsize=9,
        title="" if all_named else f"of {len(tones)} learners",
    )


def _positive(parts: Sequence[Mapping[str, Points]]) -> bool:
    """True if all values are positive, as a log scale requires."""
    values = [np.ravel(values) for splits in parts for _, values in splits.values()]
    return bool((np.concatenate(values) > 0).all())
