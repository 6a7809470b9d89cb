"""Plots of the most confident misclassifications."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fdl.errors import UserError
from fdl.plots.class_names import check_probabilities, class_names
from fdl.plots.figure import new_figure

MOST = 24
MOST_NUMBERS = 12  # Numbers of more columns do not fit their cells.
MOST_COLUMNS = 60


def worst(
    labels: np.ndarray, probabilities: np.ndarray, count: int = MOST
) -> np.ndarray:
    """Indices of the misclassified examples of highest confidence, in falling order.

    Args:
      labels: True classes, int [N]; examples with a negative label are ignored.
      probabilities: Predicted probabilities, float [N, C].
      count: Maximal number of examples.

    Returns:
      int [K], with K at most `count`.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    confidence = probabilities.max(axis=1, initial=0)
    wrong = (probabilities.argmax(axis=1) != labels) & (labels >= 0)
    indices = np.flatnonzero(wrong)
    return indices[np.argsort(-confidence[indices], kind="stable")[:count]]


def mistakes(
    inputs: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str] = (),
    *,
    columns: Sequence[str] = (),
    count: int = MOST,
    title: str = "",
) -> Figure:
    """Plots the misclassified examples of highest confidence.

    Each example is labelled with the predicted class and its probability, and below
    with the true class and its probability. Images are drawn as such; rows of a table
    are rows of a heat map, coloured by the standard score of each number within its
    column.

    Args:
      inputs: Images, [N, H, W, C] or [N, H, W], or rows of a table, [N, F].
      labels: True classes, int [N]; examples with a negative label are ignored.
      probabilities: Predicted probabilities, float [N, C].
      classes: Class names; indices if empty.
      columns: Names of the columns of a table; indices if empty.
      count: Maximal number of examples.
      title: Title of the figure; none if empty.

    Raises:
      UserError: The shapes do not match, or a label is out of range.
    """
    inputs = np.asarray(inputs)
    if len(inputs) != len(labels) or inputs.ndim not in (2, 3, 4):
        raise UserError(
            f"inputs of shape {list(inputs.shape)} for {len(labels)} labels: expected "
            "images [N, H, W, C] or rows [N, F]"
        )
    # The check removes examples with negative labels, so inputs have to follow.
    valid = np.asarray(labels) >= 0
    labels, probabilities = check_probabilities(labels, probabilities)
    inputs = inputs[valid]
    chosen = worst(labels, probabilities, count)
    names = class_names(classes, np.arange(probabilities.shape[1]))
    captions = [_caption(labels[i], probabilities[i], names) for i in chosen]
    if not len(chosen):
        figure = new_figure(5, 2, title)
        figure.text(0.5, 0.4, "no mistakes", ha="center", fontsize=12)
        return figure
    if inputs.ndim == 2:
        return _draw_table(inputs, chosen, captions, columns, title)
    return _draw_images(inputs[chosen], captions, title)


def _caption(
    label: int, probability: np.ndarray, names: Sequence[str]
) -> tuple[str, str]:
    """Predicted and true class of an example, each with its probability."""
    guess = int(probability.argmax())
    return (
        f"{names[guess]}: {probability[guess]:.3f}",
        f"{names[label]}: {probability[label]:.3f}",
    )


def _draw_images(
    images: np.ndarray, captions: list[tuple[str, str]], title: str
) -> Figure:
    images = images[..., None] if images.ndim == 3 else images
    # Neither grey nor RGB: the mean over channels is drawn.
    if images.shape[-1] not in (1, 3):
        images = images.mean(axis=-1, keepdims=True)
    images = images.astype(np.float64)
    # Inputs may be standardised: one scale for all images keeps them comparable.
    low, high = images.min(), images.max()
    images = (images - low) / (high - low if high > low else 1)
    columns = min(6, len(images))
    rows = -(-len(images) // columns)
    figure = new_figure(max(4.5, 1.5 * columns), 1.9 * rows + 0.5, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, image, (guess, truth) in zip(panels, images, captions, strict=False):
        shown = image[..., 0] if image.shape[-1] == 1 else image
        axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(f"predicted {guess}\ntrue {truth}", fontsize=8)
    return figure


def _draw_table(
    rows: np.ndarray,
    chosen: np.ndarray,
    captions: list[tuple[str, str]],
    columns: Sequence[str],
    title: str,
) -> Figure:
    spread = rows.std(axis=0)
    # Standard scores of all rows, before the few mistakes are taken out.
    scores = (rows - rows.mean(axis=0)) / np.where(spread == 0, 1, spread)
    shown, scores = (x[chosen, :MOST_COLUMNS] for x in (rows, scores))
    size = shown.shape[1]
    names = class_names(columns[:size], np.arange(size))
    width = float(np.clip(4.5 + 0.55 * size, 6.5, 14))
    figure = new_figure(width, 2.4 + 0.27 * len(chosen), title)
    axes = figure.add_subplot()
    image = axes.imshow(scores, cmap="PuOr_r", vmin=-3, vmax=3, aspect="auto")
    bar = figure.colorbar(image, ax=axes, extend="both", shrink=0.9)
    bar.set_label("standard deviations from\nthe mean of the column", fontsize=8)
    axes.set_yticks(
        range(len(chosen)),
        [
            f"{i}: predicted {guess}, true {truth}"
            for i, (guess, truth) in zip(chosen, captions, strict=True)
        ],
        fontsize=8,
    )
    rotated = max(map(len, names)) > 3
    axes.set_xticks(range(size), names, rotation=90 if rotated else 0, fontsize=8)
    axes.set_xlabel("column of the table")
    if size <= MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(shown):
            color = "white" if abs(scores[row, column]) > 2 else "black"
            style: Any = {"ha": "center", "va": "center", "fontsize": 7, "color": color}
            axes.text(column, row, f"{value:.3g}", **style)
    return figure
