"""Plot of a confusion matrix."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fdl.plots.class_names import check_lengths, class_names
from fdl.plots.figure import new_figure

MOST_COUNTS = 25  # Counts of more classes do not fit their cells.


def confusion_matrix(
    labels: np.ndarray,
    predictions: np.ndarray,
    classes: Sequence[str] = (),
    *,
    title: str = "",
) -> Figure:
    """Plots the confusion matrix, with true classes in rows.

    Cells contain counts; colours are normalised by row, so that rare classes are as
    visible as frequent ones. The title contains the accuracy.

    Args:
      labels: True classes, int [N]; examples with a negative label are ignored.
      predictions: Predicted classes, int [N].
      classes: Class names; indices if empty.
      title: Title of the figure; none if empty.

    Raises:
      UserError: The numbers of labels and predictions differ.

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
    # Unlike `counts[labels, predictions] += 1`, this counts repeated pairs.
    np.add.at(counts, (labels, predictions), 1)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    # Inches: cells with room for their number, within the size of a page.
    size = float(np.clip(1.8 + 0.42 * len(names), 3.6, 9))
    figure = new_figure(size + 1.2, size, title)
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("share of the actual class")
    if len(names) <= MOST_COUNTS:
        for row, column in zip(*np.nonzero(counts), strict=True):
            color = "white" if shares[row, column] > 0.5 else "black"  # For contrast.
            text = str(counts[row, column])
            style: Any = {"ha": "center", "va": "center", "color": color, "fontsize": 8}
            axes.text(column, row, text, **style)
    _label(axes, names)
    total = counts.sum()
    accuracy = np.trace(counts) / total if total else np.nan
    axes.set_title(f"accuracy {accuracy:.4g} of {total} examples", fontsize=10)
    return figure


def _label(axes, names: Sequence[str]) -> None:
    step = -(-len(names) // 50)  # More than 50 ticks are not legible.
    ticks = range(0, len(names), step)
    tick_labels = [names[tick] for tick in ticks]
    rotated = max(map(len, tick_labels), default=0) > 3
    axes.set_xticks(ticks, tick_labels, rotation=45 if rotated else 0, fontsize=8)
    if rotated:
        for text in axes.get_xticklabels():
            text.set(ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, tick_labels, fontsize=8)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("actual class")
