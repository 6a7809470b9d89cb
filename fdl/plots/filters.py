"""What the first layer looks for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fdl.plots.class_names import class_names
from fdl.plots.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_FILTERS = 64
MOST_ROWS = 16  # Where each filter takes a row, one tile a channel.
MOST_COLUMNS = 64


def filters(
    kernel: np.ndarray, shape: Sequence[int] = (), *, title: str = ""
) -> "Figure":
    """The kernels of the first layer as images, the largest first.

    Three channels are colours, each filter scaled by its own largest weight, grey for
    zero. One channel is orange for positive and purple for negative weights, on one
    scale for all. Other numbers of channels take a row for each filter.

    Args:
      kernel: Of a convolution, float [H, W, C, F]; or of a dense layer on images, float
        [H * W * C, F]. Of more than 64 filters, those of the largest norm are drawn.
      shape: Of the images [H, W, C], for a dense layer.
      title: Above.

    Raises:
      ValueError: The kernel has no such shape.
    """
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim == 2 and len(shape) == 3 and kernel.shape[0] == np.prod(shape):
        kernel = kernel.reshape(*shape, -1)
    if kernel.ndim != 4 or not kernel.size:
        raise ValueError(
            f"the kernel is {list(kernel.shape)}: expected [H, W, C, F], or [D, F] and "
            f"the shape of images with D numbers, not {list(shape)}"
        )
    total = kernel.shape[3]
    norms = np.sqrt((kernel**2).sum(axis=(0, 1, 2)))
    flat = kernel.shape[2] in (1, 3)
    order = np.argsort(-norms, kind="stable")[: MOST_FILTERS if flat else MOST_ROWS]
    tiles = kernel[..., order].transpose(3, 0, 1, 2)
    said = f"{len(order)} of {total} filters, the largest first"
    if kernel.shape[2] == 3:
        peaks = np.abs(tiles).max(axis=(1, 2, 3), keepdims=True)
        tiles = 0.5 + tiles / np.where(peaks == 0, 1, 2 * peaks)
        return _colored(montage(tiles, _columns(len(tiles))), said, title)
    if kernel.shape[2] == 1:
        picture = montage(tiles[..., 0], _columns(len(tiles)))
        return _signed(picture, said, title, "weight")
    channels = tiles[..., :MOST_ROWS].transpose(0, 3, 1, 2)
    picture = montage(channels.reshape(-1, *channels.shape[2:]), channels.shape[1])
    said = f"{said}; {channels.shape[1]} of {kernel.shape[2]} channels in each row"
    return _signed(picture, said, title, "weight")


def weights(
    kernel: np.ndarray, columns: Sequence[str] = (), *, title: str = ""
) -> "Figure":
    """The weights of the first layer on a table, as a heat map.

    Args:
      kernel: Float [D, F]: rows are the columns of the table. Of more than 64 units,
        those of the largest norm are drawn.
      columns: Names of the columns of the table; the first 64 are drawn.
      title: Above.

    Raises:
      ValueError: The kernel has no such shape.
    """
    from matplotlib.ticker import MaxNLocator

    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim != 2 or not kernel.size:
        raise ValueError(f"the kernel is {list(kernel.shape)}: expected [D, F]")
    total = kernel.shape[1]
    if total > MOST_FILTERS:
        norms = np.sqrt((kernel**2).sum(axis=0))
        kernel = kernel[:, np.argsort(-norms, kind="stable")[:MOST_FILTERS]]
    shown = kernel[:MOST_COLUMNS]
    said = f"{shown.shape[1]} of {total} units of the first layer"
    figure = _signed(shown, said, title, "weight")
    axes = figure.axes[0]
    axes.set_axis_on()
    axes.set_aspect("auto")
    names = class_names(columns[: len(shown)], np.arange(len(shown)))
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set(xlabel="unit", ylabel="column of the table")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def montage(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Tiles [N, H, W] or [N, H, W, 3] side by side, NaN between them."""
    count, height, width = tiles.shape[:3]
    rows = -(-count // columns)
    whole = np.full(
        (rows * (height + 1) - 1, columns * (width + 1) - 1, *tiles.shape[3:]), np.nan
    )
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + 1), i % columns * (width + 1)
        whole[top : top + height, left : left + width] = tile
    return whole


def _columns(count: int) -> int:
    return int(np.ceil(np.sqrt(count)))


def _signed(picture: np.ndarray, said: str, title: str, unit: str) -> "Figure":
    """Positive and negative numbers, on one scale around zero."""
    figure = new_figure(6, 5.2, title)
    axes = figure.add_subplot()
    peak = np.nanmax(np.abs(picture)) or 1.0
    image = axes.imshow(
        picture, cmap="PuOr_r", vmin=-peak, vmax=peak, interpolation="nearest"
    )
    figure.colorbar(image, ax=axes, shrink=0.8).set_label(unit)
    axes.set_axis_off()
    axes.set_title(said, fontsize=10)
    return figure


def _colored(picture: np.ndarray, said: str, title: str) -> "Figure":
    figure = new_figure(5.2, 5.2, title)
    axes = figure.add_subplot()
    axes.imshow(np.nan_to_num(picture, nan=1.0), interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(said, fontsize=10)
    return figure
