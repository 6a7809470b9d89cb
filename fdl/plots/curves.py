"""Every metric of a run over its steps."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fdl.metrics.t_interval import interval
from fdl.plots.class_names import literal
from fdl.plots.figure import COLORS, colors, new_figure, step_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANY = 10  # So many arms are a row, and not so many kinds.
MOST_NAMED = 6  # Of many arms.
Points = tuple[Sequence[int], np.ndarray]  # Steps [T], and values [T, S] of S seeds.


def curves(
    series: Mapping[str, Mapping[str, Points]],
    arms: Sequence[str] = (),
    *,
    title: str = "",
) -> "Figure":
    """Metrics over steps, one panel each, the mean over seeds and its 95 % interval.

    Metrics called ``arm/metric`` share a panel for each metric, in a colour for each
    arm: dashed in training, solid in evaluation. Of ten or more arms, colours go from
    dark to light.

    Args:
      series: By metric, by split ("train", "eval"): steps [T] and values [T, S].
      arms: The order of the arms; that of the metrics if there is none.
      title: Above.

    Example:
      >>> figure = curves({"loss": {"train": ([1, 2], np.array([[1.0], [0.5]]))}})
      >>> figure.axes[0].get_title(), figure.axes[0].get_lines()[0].get_ydata()
      ('loss', array([1. , 0.5]))
    """
    arms = [*arms] or learners_of(series)
    tones = learner_colors(arms)
    panels = _panels(series)
    columns = min(3, max(1, len(panels)))
    rows = -(-len(panels) // columns) or 1
    aside = 1.6 if arms else 0.0
    figure = new_figure(5 * columns + aside, 3.4 * rows, title)
    for place, ((metric, _), names) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(rows, columns, place)
        for name in names:
            arm = name.rpartition("/")[0]
            if arm:
                _draw_arm(axes, series[name], tones[arm])
            else:
                _draw_alone(axes, series[name])
        if metric.endswith("loss") and _positive([series[name] for name in names]):
            axes.set_yscale("log")
        axes.set_title(literal(metric))
        step_axis(axes)
    if arms:
        _legend(figure, tones)
    return figure


def learners_of(series: Mapping[str, Any]) -> list[str]:
    """The arms of metrics called ``arm/metric``, in their order.

    Example:
      >>> learners_of({"loss": 0, "relu/loss": 0, "relu/accuracy": 0, "tanh/loss": 0})
      ['relu', 'tanh']
    """
    arms = (name.rpartition("/")[0] for name in series)
    return [*dict.fromkeys(arm for arm in arms if arm)]


def learner_colors(arms: Sequence[str]) -> dict[str, Any]:
    """A colour for each arm; of ten or more, from dark to light."""
    tones = colors(len(arms), ordered=len(arms) >= MANY)
    return dict(zip(arms, tones, strict=True))


def _panels(series: Mapping[str, Any]) -> dict[tuple[str, bool], list[str]]:
    """Names of what is drawn together, by metric and whether it is of arms."""
    found: dict[tuple[str, bool], list[str]] = {}
    for name in series:
        arm, _, metric = name.rpartition("/")
        found.setdefault((metric, bool(arm)), []).append(name)
    order = sorted(found, key=lambda n: (n[0] != "loss", n[0] == "grad_norm", n))
    return {panel: found[panel] for panel in order}


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
    found = [interval(row[np.isfinite(row)]) for row in values]
    mean, _, spread = np.array(found).reshape(-1, 3).T
    marker = "." if len(steps) < 20 else ""
    axes.plot(steps, mean, color=color, marker=marker, **style)
    if values.shape[1] > 1:
        low, high = mean - spread, mean + spread
        axes.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)


def _legend(figure, tones: Mapping[str, Any]) -> None:
    from matplotlib.lines import Line2D

    names = [*tones]
    if len(names) >= MANY:
        places = np.linspace(0, len(names) - 1, MOST_NAMED).round().astype(int)
        names = [names[place] for place in places]
    lines = [Line2D([], [], color=tones[name], label=literal(name)) for name in names]
    lines.append(Line2D([], [], color="0.3", linestyle="--", label="train"))
    lines.append(Line2D([], [], color="0.3", linestyle="-", label="eval"))
    every = len(names) == len(tones)
    figure.legend(
        handles=lines,
        loc="outside right upper",
        fontsize=9,
        title="" if every else f"of {len(tones)} arms",
    )


def _positive(parts: Sequence[Mapping[str, Points]]) -> bool:
    values = [np.ravel(values) for splits in parts for _, values in splits.values()]
    return bool((np.concatenate(values) > 0).all())
