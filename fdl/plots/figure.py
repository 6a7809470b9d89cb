"""What all pictures are drawn on, and with."""

import io
import pathlib
from typing import TYPE_CHECKING, Any

from fdl.plots.class_names import literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart without red or green as well: Okabe and Ito's, and three darker ones.
COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
    *("#56B4E9", "#7F4A1E", "#BBBBBB", "#4B2E83", "#F0E442"),
)


def new_figure(width: float, height: float, title: str = "") -> "Figure":
    """An empty figure that needs no screen, in inches.

    Args:
      width: Its width.
      height: Its height.
      title: Above all else, if there is one.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(literal(title), fontsize=11)
    return figure


def colors(count: int, *, ordered: bool = False) -> list[Any]:
    """As many colours: `COLORS`, or from dark to light.

    Args:
      count: How many.
      ordered: Whether they go from dark to light; more than there are in `COLORS` do.
    """
    if count <= len(COLORS) and not ordered:
        return list(COLORS[:count])
    from matplotlib import colormaps

    # The lightest yellow cannot be seen on white.
    return [colormaps["viridis"](0.9 * i / max(1, count - 1)) for i in range(count)]


def step_axis(axes: "Axes") -> None:
    """Labels the horizontal axis with steps, which are whole."""
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.grid(alpha=0.3)


def save(figure: "Figure", path: pathlib.Path | str) -> pathlib.Path:
    """Writes a figure as a PNG file, whole or not at all; the same bytes each time.

    Raises:
      OSError: It cannot be written.
    """
    path = pathlib.Path(path)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=110)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(png.getvalue())
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)  # It may fill the disk.
        raise
    return path
