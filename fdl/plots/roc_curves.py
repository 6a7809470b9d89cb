"""How well classes are told apart at every threshold."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fdl.plots.class_names import check_probabilities, class_names
from fdl.plots.figure import COLORS, colors, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = tuple[np.ndarray, np.ndarray, float]  # x, y and the area.
MOST_NAMED = 10  # More classes leave no room for their names.


def roc(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str] = (),
    *,
    title: str = "",
) -> "Figure":
    """True over false positive rate, at every threshold of the probability.

    One curve for two classes, of the second against the first. For more, each against
    all others; their mean area ("macro"), and the curve of all these questions taken
    together ("micro"). A class without examples, or without others, has no curve, and
    counts for nothing.

    Args:
      labels: Actual classes, int [N]; examples with negative ones are left out.
      probabilities: Of each class, float [N, C].
      classes: Their names.
      title: Above.

    Raises:
      ValueError: The shapes do not fit.

    Example:
      >>> scores = np.array([0.1, 0.9, 0.4, 0.35, 0.8, 0.5, 0.5, 0.5])
      >>> labels = np.array([0, 1, 1, 0, 1, 0, 0, 1])
      >>> axes = roc(labels, np.stack([1 - scores, scores], axis=1)).axes[0]
      >>> print(axes.get_legend().get_texts()[0].get_text())
      class 1, area 0.8125
    """

    def curve(positive: np.ndarray, scores: np.ndarray) -> Curve | None:
        hits, alarms = _above(positive, scores)
        if not hits[-1] or not alarms[-1]:
            return None
        x, y = alarms / alarms[-1], hits / hits[-1]
        return x, y, float(np.trapezoid(y, x))

    figure = _draw(curve, labels, probabilities, classes, title, {})
    axes = figure.axes[0]
    axes.plot([0, 1], [0, 1], color="0.4", linestyle="--", linewidth=1)
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    _finish(axes, "lower right")
    return figure


def precision_recall(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str] = (),
    *,
    title: str = "",
) -> "Figure":
    """Precision over recall, at every threshold; the area is the average precision.

    The same questions as in `roc`. Where positives are few, this says more.

    Args:
      labels: Actual classes, int [N]; examples with negative ones are left out.
      probabilities: Of each class, float [N, C].
      classes: Their names.
      title: Above.

    Raises:
      ValueError: The shapes do not fit.
    """

    def curve(positive: np.ndarray, scores: np.ndarray) -> Curve | None:
        hits, alarms = _above(positive, scores)
        if not hits[-1]:
            return None
        chosen = hits + alarms
        x, y = hits / hits[-1], hits / np.where(chosen, chosen, 1)
        y[0] = 1.0  # Where nothing is chosen, nothing is wrong.
        return x, y, float((np.diff(x) * y[1:]).sum())

    step = {"drawstyle": "steps-pre"}
    figure = _draw(curve, labels, probabilities, classes, title, step)
    axes = figure.axes[0]
    axes.set(xlabel="recall", ylabel="precision")
    _finish(axes, "lower left")
    return figure


def _above(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positives and negatives that score at least as high as each threshold.

    Thresholds fall, from above all scores to the least; equal scores go together.
    """
    order = np.argsort(-scores, kind="stable")
    positive, scores = positive[order], scores[order]
    last = np.append(scores[:-1] != scores[1:], np.ones(min(1, len(scores)), bool))
    hits, alarms = np.cumsum(positive)[last], np.cumsum(~positive)[last]
    return np.append(0, hits), np.append(0, alarms)


def _draw(
    curve: Callable[[np.ndarray, np.ndarray], Curve | None],
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    title: str,
    style: dict[str, Any],
) -> "Figure":
    labels, probabilities = check_probabilities(labels, probabilities)
    count = probabilities.shape[1]
    names = class_names(classes, np.arange(count))
    figure = new_figure(5.6, 5.2, title)
    axes = figure.add_subplot()
    if count == 2:
        found = curve(labels == 1, probabilities[:, 1])
        if found is not None:
            label = f"{_called(names[1])}, area {found[2]:.4f}"
            axes.plot(*found[:2], color=COLORS[0], label=label, **style)
        return figure
    areas = []
    tones = colors(count)
    for i, name in enumerate(names):
        found = curve(labels == i, probabilities[:, i])
        if found is None:
            continue
        areas.append(found[2])
        axes.plot(
            *found[:2],
            color=tones[i],
            linewidth=1,
            alpha=1 if count <= MOST_NAMED else 0.5,
            label=f"{_called(name)}, area {found[2]:.4f}"
            if count <= MOST_NAMED
            else None,
            **style,
        )
    together = labels[:, None] == np.arange(count)
    found = curve(together.ravel(), probabilities.ravel())
    if found is not None:
        label = f"micro, area {found[2]:.4f}"
        axes.plot(*found[:2], color="black", linewidth=2.5, label=label, **style)
    if areas:
        label = f"macro, mean area {np.mean(areas):.4f}"
        axes.plot([], [], linestyle="", label=label)
    return figure


def _called(name: str) -> str:
    # A legend leaves out what begins with an underscore.
    return f"class {name}" if name.isdigit() or name.startswith("_") else name


def _finish(axes, place: str) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=place, fontsize=8)
