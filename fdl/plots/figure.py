"""Figures, colours and files of plots."""

import io
import pathlib
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fdl.files import write_bytes
from fdl.plots.class_names import literal

# The palette of Okabe and Ito for colour-blind readers, without black, and three more.
COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
    *("#56B4E9", "#7F4A1E", "#BBBBBB", "#4B2E83", "#F0E442"),
)

LARGEST = 1e100  # Number that is drawn.


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Creates an empty figure that needs no display.

    Args:
      width: Width in inches.
      height: Height in inches.
      title: Title of the figure; none if empty.
    """
    # Without pyplot, figures are neither registered globally nor bound to a window.
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(literal(title), fontsize=11)
    return figure


def colors(count: int, *, ordered: bool = False) -> list[Any]:
    """Distinct colours from `COLORS`, or a sequence from dark to light.

    Args:
      count: Number of colours.
      ordered: Whether to return a sequence from dark to light, as is done anyway for
        more colours than there are in `COLORS`.
    """
    if count <= len(COLORS) and not ordered:
        return list(COLORS[:count])
    # The lightest yellow of the colour map is hard to see on white.
    return [colormaps["viridis"](0.9 * i / max(1, count - 1)) for i in range(count)]


def drawable(values: Any) -> np.ndarray:
    """Values within the range for which matplotlib can scale an axis, float64 [...].

    Numbers beyond ±10¹⁰⁰ are drawn there: the square of a larger one overflows, as does
    the logarithmic axis from the smallest float64 to the largest.
    """
    values = np.asarray(values, np.float64)
    return np.where(np.isfinite(values), np.clip(values, -LARGEST, LARGEST), values)


def step_axis(axes: Axes) -> None:
    """Labels the horizontal axis with steps, at integer ticks."""
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.grid(alpha=0.3)


def save(figure: Figure, path: pathlib.Path | str) -> pathlib.Path:
    """Writes a figure to a PNG file, atomically.

    Raises:
      OSError: The file cannot be written.
    """
    path = pathlib.Path(path)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    write_bytes(path, png.getvalue())
    return path
