"""Plots of the weights of a first layer."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fdl.errors import UserError
from fdl.plots.class_names import class_names
from fdl.plots.figure import new_figure

MOST_FILTERS = 64
MOST_ROWS = 16  # Limit of both filters and channels, if each filter is a row of tiles.
MOST_COLUMNS = 64


def filters(
    kernel: np.ndarray, shape: Sequence[int] = (), *, title: str = ""
) -> Figure:
    """Plots the kernels of a first layer as images, ordered by norm, largest first.

    Kernels of three channels are shown in RGB, each scaled by its largest absolute
    weight, with grey for zero. Kernels of one channel have a common colour scale,
    orange for positive and purple for negative weights. For other numbers of channels,
    each filter is a row with one tile per channel.

    Args:
      kernel: Kernel of a convolution, float [H, W, C, F], or of a dense layer on
        images, float [H * W * C, F]. At most 64 filters are drawn, or 16 in rows.
      shape: Shape of the images, (H, W, C), for a dense layer.
      title: Title of the figure; none if empty.

    Raises:
      UserError: The kernel has another shape.
    """
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim == 2 and len(shape) == 3 and kernel.shape[0] == np.prod(shape):
        kernel = kernel.reshape(*shape, -1)
    if kernel.ndim != 4 or not kernel.size:
        raise UserError(
            f"kernel of shape {list(kernel.shape)}: expected [H, W, C, F], or [D, F] "
            f"with D the size of images of shape={list(shape)}"
        )
    num_filters = kernel.shape[3]
    norms = np.sqrt((kernel**2).sum(axis=(0, 1, 2)))
    # Filters of one or three channels are single tiles, all others rows of tiles.
    single = kernel.shape[2] in (1, 3)
    order = np.argsort(-norms, kind="stable")[: MOST_FILTERS if single else MOST_ROWS]
    tiles = kernel[..., order].transpose(3, 0, 1, 2)
    caption = f"{len(order)} of {num_filters} filters, the largest first"
    if kernel.shape[2] == 3:
        peaks = np.abs(tiles).max(axis=(1, 2, 3), keepdims=True)
        # From [-peak, peak] to [0, 1]; a filter of zeros is grey.
        tiles = 0.5 + tiles / np.where(peaks == 0, 1, 2 * peaks)
        return _draw_rgb(montage(tiles, _num_columns(len(tiles))), caption, title)
    if kernel.shape[2] == 1:
        image = montage(tiles[..., 0], _num_columns(len(tiles)))
        return _draw_signed(image, caption, title, "weight")
    channels = tiles[..., :MOST_ROWS].transpose(0, 3, 1, 2)
    image = montage(channels.reshape(-1, *channels.shape[2:]), channels.shape[1])
    caption += f"; {channels.shape[1]} of {kernel.shape[2]} channels in each row"
    return _draw_signed(image, caption, title, "weight")


def weights(
    kernel: np.ndarray, columns: Sequence[str] = (), *, title: str = ""
) -> Figure:
    """Plots the weights of a dense first layer on tabular data as a heat map.

    Args:
      kernel: Float [D, F], one row for each input column. Of more than 64 units, those
        of the largest norm are drawn, and of the inputs the first 64.
      columns: Names of the input columns; indices if empty.
      title: Title of the figure; none if empty.

    Raises:
      UserError: The kernel has another shape.
    """
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim != 2 or not kernel.size:
        raise UserError(f"kernel of shape {list(kernel.shape)}: expected [D, F]")
    num_units = kernel.shape[1]
    if num_units > MOST_FILTERS:
        norms = np.sqrt((kernel**2).sum(axis=0))
        kernel = kernel[:, np.argsort(-norms, kind="stable")[:MOST_FILTERS]]
    shown = kernel[:MOST_COLUMNS]
    caption = f"{shown.shape[1]} of {num_units} units of the first layer"
    figure = _draw_signed(shown, caption, title, "weight")
    axes = figure.axes[0]
    axes.set_axis_on()
    axes.set_aspect("auto")
    names = class_names(columns[: len(shown)], np.arange(len(shown)))
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set(xlabel="unit", ylabel="column of the table")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def montage(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Arranges tiles [N, H, W] or [N, H, W, 3] in a grid, separated by NaN."""
    count, height, width = tiles.shape[:3]
    rows = -(-count // columns)
    grid = np.full(
        (rows * (height + 1) - 1, columns * (width + 1) - 1, *tiles.shape[3:]), np.nan
    )
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        grid[top : top + height, left : left + width] = tile
    return grid


def _num_columns(count: int) -> int:
    return int(np.ceil(np.sqrt(count)))


def _draw_signed(values: np.ndarray, caption: str, title: str, unit: str) -> Figure:
    """Draws a matrix on a diverging colour scale, symmetric around zero."""
    figure = new_figure(6, 5.2, title)
    axes = figure.add_subplot()
    peak = np.nanmax(np.abs(values)) or 1.0
    image = axes.imshow(
        values, cmap="PuOr_r", vmin=-peak, vmax=peak, interpolation="nearest"
    )
    figure.colorbar(image, ax=axes, shrink=0.8).set_label(unit)
    axes.set_axis_off()
    axes.set_title(caption, fontsize=10)
    return figure


def _draw_rgb(image: np.ndarray, caption: str, title: str) -> Figure:
    figure = new_figure(5.2, 5.2, title)
    axes = figure.add_subplot()
    # Gaps between tiles are white.
    axes.imshow(np.nan_to_num(image, nan=1.0), interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(caption, fontsize=10)
    return figure
