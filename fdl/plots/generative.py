"""Plots of generative models: samples, reconstructions, interpolations, latents."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fdl.errors import UserError
from fdl.plots.embedding import draw_embedding
from fdl.plots.figure import colors, drawable, new_figure
from fdl.plots.filters import montage

MOST_CLASSES = 20  # Of a legend.


def samples(
    values: np.ndarray, *, title: str = "", num_columns: int | None = None
) -> Figure:
    """Plots examples: images in a grid, points in the plane, others as rows of numbers.

    Images of one channel are grey, of three channels in colour; of other numbers of
    channels the mean is drawn.

    Args:
      values: Examples, float [N, H, W, C], [N, H, W], [N, 2] or [N, D]. Pixels are
        shown between 0 and 1, or between their extremes if some lie outside.
      title: Title of the figure; none if empty.
      num_columns: Number of images in a row. Default: those of a square.

    Raises:
      UserError: There is no example, or it has another shape.

    Example:
      >>> figure = samples(np.zeros((9, 8, 8, 1)))
      >>> figure.axes[0].images[0].get_array().shape
      (26, 26)
    """
    values = np.asarray(values)
    shape, width = 1.0, 5.2
    if num_columns is not None and values.ndim > 2:  # As high as the grid is.
        num_rows = -(-len(values) // num_columns)
        width = min(20.0, max(width, 0.35 * num_columns))
        shape = num_rows * values.shape[1] / (num_columns * values.shape[2])
    figure = new_figure(width, max(1.0, width * shape) + (0.4 if title else 0), title)
    draw_examples(figure.add_subplot(), values, num_columns)
    return figure


def generative(
    *,
    samples: np.ndarray | None = None,
    originals: np.ndarray | None = None,
    reconstructions: np.ndarray | None = None,
    embedding: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """Plots what a model makes, side by side: reconstructions, samples, latents.

    Args:
      samples: Samples of the model, [N, ...]; see `samples`.
      originals: Examples, [M, ...].
      reconstructions: Their reconstructions, [M, ...], which are drawn below them.
      embedding: Embeddings of examples, float [K, D]; of more than two dimensions their
        first two principal components are drawn.
      labels: Classes of these examples, int [K], for the colours. Default: one colour.
      title: Title of the figure; none if empty.

    Raises:
      UserError: There is nothing to draw, or of another shape.
    """
    shown = [
        originals is not None and reconstructions is not None,
        samples is not None,
        embedding is not None,
    ]
    if not any(shown):
        raise UserError("expected samples, reconstructions or an embedding to plot")
    figure = new_figure(5 * sum(shown), 5.2, title)
    panels = iter(np.atleast_1d(figure.subplots(1, sum(shown))))
    if originals is not None and reconstructions is not None:
        axes = next(panels)
        originals = np.asarray(originals)
        if originals.min() >= 0 and originals.max() <= 1:
            # What overshoots would make a black background grey.
            reconstructions = np.clip(reconstructions, 0, 1)
        pairs, num_columns = in_pairs(originals, reconstructions)
        draw_examples(axes, pairs, num_columns)
        axes.set_title("examples, each above its reconstruction", fontsize=10)
    if samples is not None:
        axes = next(panels)
        draw_examples(axes, samples)
        axes.set_title("samples", fontsize=10)
    if embedding is not None:
        axes = next(panels)
        points = np.asarray(embedding, np.float64)
        points = points.reshape(len(points), -1)
        unknown = np.zeros(len(points), int)
        draw_embedding(axes, points, unknown if labels is None else np.asarray(labels))
        axes.set_title(f"embedding, {points.shape[1]} numbers", fontsize=10)
        if labels is not None and len(np.unique(labels)) <= MOST_CLASSES:
            axes.legend(fontsize=7, markerscale=2, ncols=2)
    return figure


def in_pairs(
    originals: np.ndarray, reconstructions: np.ndarray, num_columns: int = 8
) -> tuple[np.ndarray, int]:
    """Rows of examples above rows of their reconstructions, and their length.

    Args:
      originals: Examples, [M, ...].
      reconstructions: Their reconstructions, [M, ...].
      num_columns: Largest number of examples in a row.

    Returns:
      Both in turns, [2 M', ...], of as many whole rows as there are, and the number in
      a row.
    """
    size = max(1, min(num_columns, len(originals)))
    count = len(originals) // size
    rows = [
        np.asarray(x)[: count * size].reshape(count, 1, size, *np.shape(x)[1:])
        for x in (originals, reconstructions)
    ]
    stacked = np.concatenate(rows, axis=1)
    return stacked.reshape(-1, *stacked.shape[3:]), size


def draw_examples(
    axes: Axes, values: np.ndarray, num_columns: int | None = None
) -> None:
    """Draws examples into axes; see `samples`."""
    values = drawable(np.asarray(values))
    if values.ndim < 2 or not values.size:
        raise UserError(
            f"samples of shape {list(values.shape)}: expected [N, H, W, C], [N, H, W] "
            "or [N, D]"
        )
    if values.shape[1:] == (2,):
        axes.plot(*values.T, ".", markersize=2, color=colors(1)[0])
        axes.set_aspect("equal", "datalim")
        axes.grid(alpha=0.3)
        return
    axes.set_axis_off()
    if values.ndim == 2:
        axes.imshow(values, aspect="auto", cmap="viridis", interpolation="nearest")
        return
    if values.ndim != 3:
        # Neither grey nor RGB: the mean over all axes but height and width.
        if values.ndim != 4 or values.shape[-1] not in (1, 3):
            values = values.reshape(*values.shape[:3], -1)
            values = values.mean(axis=-1, keepdims=True)
        values = values.squeeze(-1) if values.shape[-1] == 1 else values
    finite = np.isfinite(values)
    low = values.min(where=finite, initial=0)
    high = values.max(where=finite, initial=1)
    values = np.where(finite, values, np.nan)
    if num_columns is None:
        num_columns = int(np.ceil(np.sqrt(len(values))))
    grid = montage((values - low) / (high - low), num_columns)
    grid = np.nan_to_num(grid, nan=1.0)  # Gaps are white, and so are NaN.
    axes.imshow(grid, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
