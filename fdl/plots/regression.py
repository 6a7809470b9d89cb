"""Plots of predictions and residuals of a regression."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from fdl.errors import UserError
from fdl.plots.class_names import literal
from fdl.plots.figure import COLORS, new_figure

MOST_TARGETS = 6


def predictions(
    targets: np.ndarray,
    predicted: np.ndarray,
    names: Sequence[str] = (),
    *,
    title: str = "",
) -> Figure:
    """Plots predicted over true values, with a panel for each target.

    The dashed line is the identity. Titles contain R² and the mean absolute error.

    Args:
      targets: True values, float [N] or [N, K]; the first six of K are drawn.
      predicted: Predicted values, of the same shape.
      names: Names of the targets.
      title: Title of the figure; none if empty.

    Raises:
      UserError: The shapes differ, or there are no targets.
    """
    targets, predicted = _columns(targets, predicted)
    figure = new_figure(4.8 * targets.shape[1], 4.6, title)
    panels = figure.subplots(1, targets.shape[1], squeeze=False)[0]
    for k, axes in enumerate(panels):
        y, x = predicted[:, k], targets[:, k]
        total = np.square(x - x.mean()).sum()
        # R² is undefined for constant targets.
        r2 = 1 - np.square(x - y).sum() / total if total else np.nan
        error = np.abs(x - y).mean()
        axes.scatter(x, y, s=14, alpha=_alpha(len(x)), color=COLORS[0], linewidth=0)
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        axes.plot(ends, ends, color="0.4", linestyle="--", linewidth=1)
        axes.set(
            xlabel=f"true {_name(names, k)}", ylabel=f"predicted {_name(names, k)}"
        )
        axes.set_title(f"R² {r2:.4f}, mean absolute error {error:.4g}", fontsize=10)
        axes.set_aspect("equal", adjustable="datalim")
        axes.grid(alpha=0.3)
    return figure


def residuals(
    targets: np.ndarray,
    predicted: np.ndarray,
    names: Sequence[str] = (),
    *,
    title: str = "",
) -> Figure:
    """Plots residuals, true minus predicted values, over predictions and as histogram.

    The residuals of a good fit are centred at zero and show no pattern.

    Args:
      targets: True values, float [N] or [N, K]; the first six of K are drawn.
      predicted: Predicted values, of the same shape.
      names: Names of the targets.
      title: Title of the figure; none if empty.

    Raises:
      UserError: The shapes differ, or there are no targets.
    """
    targets, predicted = _columns(targets, predicted)
    count = targets.shape[1]
    figure = new_figure(8, 3.6 * count, title)
    panels = figure.subplots(
        count, 2, squeeze=False, sharey="row", gridspec_kw={"width_ratios": [3, 1]}
    )
    for k, (axes, histogram) in enumerate(panels):
        residual = targets[:, k] - predicted[:, k]
        style = {"s": 14, "alpha": _alpha(len(residual)), "linewidth": 0}
        axes.scatter(predicted[:, k], residual, color=COLORS[0], **style)
        axes.set(
            xlabel=f"predicted {_name(names, k)}", ylabel="residual: true − predicted"
        )
        moments = f"mean {residual.mean():.4g}, standard deviation {residual.std():.4g}"
        axes.set_title(moments, fontsize=10)
        histogram.hist(residual, bins=30, orientation="horizontal", color=COLORS[0])
        histogram.set_xlabel("examples")
        for panel in (axes, histogram):
            panel.axhline(0, color="0.4", linestyle="--", linewidth=1)
            panel.grid(alpha=0.3)
            panel.set_axisbelow(True)
    return figure


def _columns(
    targets: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    targets, predicted = np.asarray(targets), np.asarray(predicted)
    if targets.shape != predicted.shape or targets.ndim not in (1, 2):
        raise UserError(
            f"targets of shape {list(targets.shape)}, predictions of shape "
            f"{list(predicted.shape)}: expected [N] or [N, K] for both"
        )
    if not targets.size:
        raise UserError("targets are empty: expected one or more")
    parts = (x.reshape(len(x), -1)[:, :MOST_TARGETS] for x in (targets, predicted))
    first, second = (x.astype(np.float64) for x in parts)
    return first, second


def _name(names: Sequence[str], k: int) -> str:
    return literal(names[k]) if k < len(names) else "value"


def _alpha(count: int) -> float:
    """Opacity of points, lower for many of them, as they overlap."""
    return float(np.clip(300 / max(1, count), 0.05, 0.7))
