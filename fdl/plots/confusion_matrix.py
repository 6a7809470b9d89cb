"""The confusion matrix, drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fdl.plots.class_names import check_lengths, class_names
from fdl.plots.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_COUNTS = 25  # More classes leave no room for numbers.


def confusion_matrix(
    labels: np.ndarray,
    predictions: np.ndarray,
    classes: Sequence[str] = (),
    *,
    title: str = "",
) -> "Figure":
    """How often each class was taken for each: actual classes in rows.

    Numbers count examples; colours are their share of the row, so that a rare class is
    seen as well as a frequent one. The title says the accuracy.

    Args:
      labels: Actual classes, int [N]; examples with negative ones are left out.
      predictions: Predicted classes, int [N].
      classes: Their names; numbers if there are none.
      title: In front of the accuracy.

    Raises:
      ValueError: There are not as many predictions as labels.

    Example:
      >>> figure = confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]))
      >>> [text.get_text() for text in figure.axes[0].texts]
      ['1', '1', '1']
      >>> figure.axes[0].get_title()
      'accuracy 0.6667 of 3 examples'
    """
    labels, predictions = check_lengths(labels, predictions)
    names = class_names(classes, labels, predictions) or ["0"]
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    size = float(np.clip(1.8 + 0.42 * len(names), 3.6, 9))
    figure = new_figure(size + 1.2, size, title)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of the actual class")
    if len(names) <= MOST_COUNTS:
        for row, column in zip(*np.nonzero(counts), strict=True):
            color = "white" if shares[row, column] > 0.5 else "black"
            text = str(counts[row, column])
            style: Any = {"ha": "center", "va": "center", "color": color, "fontsize": 8}
            axes.text(column, row, text, **style)
    _label(axes, names)
    total = counts.sum()
    right = np.trace(counts) / total if total else np.nan
    axes.set_title(f"accuracy {right:.4g} of {total} examples", fontsize=10)
    return figure


def _label(axes, names: Sequence[str]) -> None:
    step = -(-len(names) // 50)  # No more ticks than can be read.
    places = range(0, len(names), step)
    shown = [names[place] for place in places]
    upright = max(map(len, shown), default=0) > 3
    axes.set_xticks(places, shown, rotation=45 if upright else 0, fontsize=8)
    if upright:
        for text in axes.get_xticklabels():
            text.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(places, shown, fontsize=8)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("actual class")
