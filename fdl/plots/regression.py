"""What was predicted, and by how much it is wrong."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fdl.plots.class_names import literal
from fdl.plots.figure import COLORS, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_TARGETS = 6


def predictions(
    targets: np.ndarray,
    predicted: np.ndarray,
    names: Sequence[str] = (),
    *,
    title: str = "",
) -> "Figure":
    """Predicted over true values, one panel for each target; on the line all is right.

    Args:
      targets: What is true, float [N] or [N, K]; the first six are drawn.
      predicted: What was predicted, of the same shape.
      names: Of the targets.
      title: Above.

    Raises:
      ValueError: The shapes differ.
    """
    targets, predicted = _columns(targets, predicted)
    figure = new_figure(4.8 * targets.shape[1], 4.6, title)
    panels = figure.subplots(1, targets.shape[1], squeeze=False)[0]
    for k, axes in enumerate(panels):
        y, x = predicted[:, k], targets[:, k]
        spread = np.square(x - x.mean()).sum()
        r2 = 1 - np.square(x - y).sum() / spread if spread else np.nan
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
) -> "Figure":
    """True minus predicted values: over what was predicted, and how they spread.

    A good model leaves no pattern, and as much on either side of zero.

    Args:
      targets: What is true, float [N] or [N, K]; the first six are drawn.
      predicted: What was predicted, of the same shape.
      names: Of the targets.
      title: Above.

    Raises:
      ValueError: The shapes differ.
    """
    targets, predicted = _columns(targets, predicted)
    count = targets.shape[1]
    figure = new_figure(8, 3.6 * count, title)
    panels = figure.subplots(
        count, 2, squeeze=False, sharey="row", gridspec_kw={"width_ratios": [3, 1]}
    )
    for k, (axes, beside) in enumerate(panels):
        rest = targets[:, k] - predicted[:, k]
        style = {"s": 14, "alpha": _alpha(len(rest)), "linewidth": 0}
        axes.scatter(predicted[:, k], rest, color=COLORS[0], **style)
        axes.set(
            xlabel=f"predicted {_name(names, k)}", ylabel="residual: true − predicted"
        )
        spread = f"mean {rest.mean():.4g}, standard deviation {rest.std():.4g}"
        axes.set_title(spread, fontsize=10)
        beside.hist(rest, bins=30, orientation="horizontal", color=COLORS[0])
        beside.set_xlabel("examples")
        for one in (axes, beside):
            one.axhline(0, color="0.4", linestyle="--", linewidth=1)
            one.grid(alpha=0.3)
            one.set_axisbelow(True)
    return figure


def _columns(
    targets: np.ndarray, predicted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    targets, predicted = np.asarray(targets), np.asarray(predicted)
    if targets.shape != predicted.shape or targets.ndim not in (1, 2):
        raise ValueError(
            f"targets are {list(targets.shape)} and predictions "
            f"{list(predicted.shape)}: expected [N] or [N, K], and the same"
        )
    if not targets.size:
        raise ValueError("there are no targets to draw")
    parts = (x.reshape(len(x), -1)[:, :MOST_TARGETS] for x in (targets, predicted))
    first, second = (x.astype(np.float64) for x in parts)
    return first, second


def _name(names: Sequence[str], k: int) -> str:
    return literal(names[k]) if k < len(names) else "value"


def _alpha(count: int) -> float:
    """Many points lie on each other."""
    return float(np.clip(300 / max(1, count), 0.05, 0.7))
