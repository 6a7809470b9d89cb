"""ROC and precision-recall curves."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fdl.plots.class_names import check_probabilities, class_names
from fdl.plots.figure import COLORS, colors, new_figure

Curve = tuple[np.ndarray, np.ndarray, float]  # x, y and the area under the curve.
MOST_NAMED = 10  # Names of more classes do not fit the legend.


def roc(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str] = (),
    *,
    title: str = "",
) -> Figure:
    """Plots receiver operating characteristic (ROC) curves.

    With two classes there is one curve, with the second class as positive. With more
    there is a one-vs-rest curve for each class, the mean of their areas ("macro"), and
    the curve of all one-vs-rest decisions pooled ("micro"). A class without positive or
    without negative examples has no curve and is left out of the mean.

    Args:
      labels: True classes, int [N]; examples with a negative label are ignored.
      probabilities: Predicted probabilities, float [N, C].
      classes: Class names; indices if empty.
      title: Title of the figure; none if empty.

    Raises:
      UserError: The shapes do not match, or a label is out of range.

    Example:
      >>> scores = np.array([0.1, 0.9, 0.4, 0.35, 0.8, 0.5, 0.5, 0.5])
      >>> labels = np.array([0, 1, 1, 0, 1, 0, 0, 1])
      >>> axes = roc(labels, np.stack([1 - scores, scores], axis=1)).axes[0]
      >>> print(axes.get_legend().get_texts()[0].get_text())
      class 1, area 0.8125
    """

    def curve(positive: np.ndarray, scores: np.ndarray) -> Curve | None:
        hits, alarms = _cumulative_counts(positive, scores)
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
) -> Figure:
    """Plots precision-recall curves; their area is the average precision.

    Curves are those of the same classes and averages as in `roc`. They are more
    informative than ROC curves if positives are rare.

    Args:
      labels: True classes, int [N]; examples with a negative label are ignored.
      probabilities: Predicted probabilities, float [N, C].
      classes: Class names; indices if empty.
      title: Title of the figure; none if empty.

    Raises:
      UserError: The shapes do not match, or a label is out of range.
    """

    def curve(positive: np.ndarray, scores: np.ndarray) -> Curve | None:
        hits, alarms = _cumulative_counts(positive, scores)
        if not hits[-1]:
            return None
        num_predicted = hits + alarms
        x, y = hits / hits[-1], hits / np.where(num_predicted, num_predicted, 1)
        y[0] = 1.0  # By convention, as in scikit-learn, where nothing is predicted.
        # A step function: linear interpolation of precision would be too optimistic.
        return x, y, float((np.diff(x) * y[1:]).sum())

    step = {"drawstyle": "steps-pre"}
    figure = _draw(curve, labels, probabilities, classes, title, step)
    axes = figure.axes[0]
    axes.set(xlabel="recall", ylabel="precision")
    _finish(axes, "lower left")
    return figure


def _cumulative_counts(
    positive: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of true and false positives at each threshold, int [T].

    Thresholds fall from above all scores to the lowest score.
    """
    order = np.argsort(-scores, kind="stable")
    positive, scores = positive[order], scores[order]
    # Examples of equal scores share a threshold: only the last of them counts.
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
) -> Figure:
    labels, probabilities = check_probabilities(labels, probabilities)
    count = probabilities.shape[1]
    names = class_names(classes, np.arange(count))
    figure = new_figure(5.6, 5.2, title)
    axes = figure.add_subplot()
    if count == 2:
        points = curve(labels == 1, probabilities[:, 1])
        if points is not None:
            label = f"{_legend_name(names[1])}, area {points[2]:.4f}"
            axes.plot(*points[:2], color=COLORS[0], label=label, **style)
        return figure
    areas = []
    tones = colors(count)
    for i, name in enumerate(names):
        points = curve(labels == i, probabilities[:, i])
        if points is None:
            continue
        areas.append(points[2])
        axes.plot(
            *points[:2],
            color=tones[i],
            linewidth=1,
            alpha=1 if count <= MOST_NAMED else 0.5,
            label=f"{_legend_name(name)}, area {points[2]:.4f}"
            if count <= MOST_NAMED
            else None,
            **style,
        )
    # Micro average: each pair of an example and a class is one binary decision.
    one_hot = labels[:, None] == np.arange(count)
    points = curve(one_hot.ravel(), probabilities.ravel())
    if points is not None:
        label = f"micro, area {points[2]:.4f}"
        axes.plot(*points[:2], color="black", linewidth=2.5, label=label, **style)
    if areas:
        # An empty line, for an entry of the legend only.
        label = f"macro, mean area {np.mean(areas):.4f}"
        axes.plot([], [], linestyle="", label=label)
    return figure


def _legend_name(name: str) -> str:
    # Matplotlib leaves labels that begin with an underscore out of legends.
    return f"class {name}" if name.isdecimal() or name.startswith("_") else name


def _finish(axes, legend_location: str) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc=legend_location, fontsize=8)
