"""What the model was sure of, and wrong about."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fdl.plots.class_names import check_probabilities, class_names
from fdl.plots.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 24
MOST_NUMBERS = 12  # More columns leave no room for numbers.
MOST_COLUMNS = 60


def worst(
    labels: np.ndarray, probabilities: np.ndarray, count: int = MOST
) -> np.ndarray:
    """The examples of which the model is most sure, and wrong; the surest first.

    Args:
      labels: Actual classes, int [N]; negative ones are never wrong.
      probabilities: Of each class, float [N, C].
      count: At most so many.

    Returns:
      Their indices, int [at most count].
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    sure = probabilities.max(axis=1, initial=0)
    wrong = (probabilities.argmax(axis=1) != labels) & (labels >= 0)
    found = np.flatnonzero(wrong)
    return found[np.argsort(-sure[found], kind="stable")[:count]]


def mistakes(
    inputs: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str] = (),
    *,
    columns: Sequence[str] = (),
    count: int = MOST,
    title: str = "",
) -> "Figure":
    """The most confident mistakes: what was said, and what is true.

    Each has the class that was predicted and its probability, and below them the true
    class and the probability that was left for it. Images are shown; rows of a table
    are rows of a heat map, coloured by how far from the mean of its column a number
    lies, in standard deviations of the column.

    Args:
      inputs: Images [N, H, W, C] or [N, H, W], or rows of a table [N, F].
      labels: Actual classes, int [N]; examples with negative ones are left out.
      probabilities: Of each class, float [N, C].
      classes: Their names.
      columns: Names of the columns of a table.
      count: At most so many.
      title: Above.

    Raises:
      ValueError: The shapes do not fit.
    """
    inputs = np.asarray(inputs)
    if len(inputs) != len(labels) or inputs.ndim not in (2, 3, 4):
        raise ValueError(
            f"inputs are {list(inputs.shape)} of {len(labels)} examples: expected "
            "images [N, H, W, C], or rows [N, F]"
        )
    counts = np.asarray(labels) >= 0
    labels, probabilities = check_probabilities(labels, probabilities)
    inputs = inputs[counts]
    chosen = worst(labels, probabilities, count)
    names = class_names(classes, np.arange(probabilities.shape[1]))
    said = [_said(labels[i], probabilities[i], names) for i in chosen]
    if not len(chosen):
        figure = new_figure(5, 2, title)
        figure.text(0.5, 0.4, "no mistakes", ha="center", fontsize=12)
        return figure
    if inputs.ndim == 2:
        return _table(inputs, chosen, said, columns, title)
    return _images(inputs[chosen], said, title)


def _said(label: int, probability: np.ndarray, names: Sequence[str]) -> tuple[str, str]:
    guess = int(probability.argmax())
    return (
        f"{names[guess]}: {probability[guess]:.3f}",
        f"{names[label]}: {probability[label]:.3f}",
    )


def _images(images: np.ndarray, said: list[tuple[str, str]], title: str) -> "Figure":
    images = images[..., None] if images.ndim == 3 else images
    if images.shape[-1] not in (1, 3):
        images = images.mean(axis=-1, keepdims=True)
    images = images.astype(np.float64)
    low, high = images.min(), images.max()
    images = (images - low) / (high - low if high > low else 1)
    columns = min(6, len(images))
    rows = -(-len(images) // columns)
    figure = new_figure(max(4.5, 1.5 * columns), 1.9 * rows + 0.5, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, image, (guess, truth) in zip(panels, images, said, strict=False):
        shown = image[..., 0] if image.shape[-1] == 1 else image
        axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(f"said {guess}\ntrue {truth}", fontsize=8)
    return figure


def _table(
    rows: np.ndarray,
    chosen: np.ndarray,
    said: list[tuple[str, str]],
    columns: Sequence[str],
    title: str,
) -> "Figure":
    spread = rows.std(axis=0)
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
    places = range(len(chosen))
    axes.set_yticks(
        places,
        [
            f"{i}: said {guess}, true {truth}"
            for i, (guess, truth) in zip(chosen, said, strict=True)
        ],
        fontsize=8,
    )
    upright = max(map(len, names)) > 3
    axes.set_xticks(range(size), names, rotation=90 if upright else 0, fontsize=8)
    axes.set_xlabel("column of the table")
    if size <= MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(shown):
            color = "white" if abs(scores[row, column]) > 2 else "black"
            style: Any = {"ha": "center", "va": "center", "fontsize": 7, "color": color}
            axes.text(column, row, f"{value:.3g}", **style)
    return figure
