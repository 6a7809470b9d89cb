"""Plots of a density in the plane."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from fdl.errors import UserError
from fdl.plots.class_names import literal
from fdl.plots.figure import COLORS, new_figure

RANGE = 10.0  # Nats below the highest log-density, the darkest colour.
MOST_POINTS = 2000


def density(
    log_density: np.ndarray,
    extent: Sequence[float],
    points: Mapping[str, np.ndarray] | None = None,
    *,
    title: str = "",
) -> Figure:
    """Plots the log-density on a grid, with a panel for each set of points beside it.

    Colours span 10 nats below the highest log-density: what is less is as dark.

    Args:
      log_density: Log-densities in nats, float [H, W], of which the first row is that
        of the lowest y: as of ``np.meshgrid(x, y)``.
      extent: Ends of both axes, (left, right, bottom, top).
      points: Points by their title, each float [N, 2], such as data and samples; the
        first 2000 are drawn.
      title: Title of the figure; none if empty.

    Raises:
      UserError: A shape or the extent is not valid, or no log-density is finite.
    """
    log_density = np.asarray(log_density, np.float64)
    if log_density.ndim != 2 or not np.isfinite(log_density).any():
        raise UserError(
            f"log_density of shape {[*log_density.shape]}: expected finite numbers, "
            "[H, W]"
        )
    left, right, bottom, top = map(float, extent)
    if not (left < right and bottom < top):
        raise UserError(f"extent={[*extent]}: expected left < right and bottom < top")
    points = {name: _checked(name, array) for name, array in (points or {}).items()}
    figure = new_figure(4.6 * (1 + len(points)) + 0.6, 4.4, title)
    panels = figure.subplots(1, 1 + len(points), squeeze=False)[0]
    peak = np.max(log_density[np.isfinite(log_density)])
    image = panels[0].imshow(
        np.clip(log_density, peak - RANGE, peak),
        origin="lower",
        extent=(left, right, bottom, top),
        cmap="viridis",
    )
    figure.colorbar(image, ax=panels[0], shrink=0.8).set_label("log-density (nats)")
    panels[0].set_title("density", fontsize=10)
    for axes, (name, array) in zip(panels[1:], points.items(), strict=True):
        shown = array[:MOST_POINTS]
        axes.scatter(shown[:, 0], shown[:, 1], s=3, alpha=0.4, color=COLORS[0], lw=0)
        inside = (shown >= [left, bottom]) & (shown <= [right, top])
        outside = int((~inside.all(axis=1)).sum())
        count = f"{len(shown)} {name}" + (f", {outside} outside" if outside else "")
        axes.set_title(literal(count), fontsize=10)
        axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    return figure


def _checked(name: str, points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise UserError(f"points[{name!r}] of {[*points.shape]}: expected [N, 2]")
    return points
