"""Plot of a learning rate range test."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from fdl.plots.class_names import literal
from fdl.plots.figure import new_figure


def lr_range_test(
    rates: np.ndarray,
    losses: np.ndarray,
    smoothed: np.ndarray,
    suggestions: Mapping[str, float],
    *,
    title: str = "",
) -> Figure:
    """Loss over the learning rate, with the rates that are suggested.

    Args:
      rates: Learning rates, float [N].
      losses: Loss at each, float [N].
      smoothed: The same, smoothed, float [N].
      suggestions: Rates to mark, by their label; at most two.
      title: Of the plot.
    """
    figure = new_figure(7, 4.5)
    axes = figure.add_subplot()
    axes.plot(rates, losses, color="0.75", label="loss")
    axes.plot(rates, smoothed, color="tab:blue", label="smoothed")
    colors = ("tab:green", "tab:orange")
    for (label, rate), color in zip(suggestions.items(), colors, strict=False):
        text = f"{label}: {rate:.2g}"
        axes.axvline(rate, color=color, linestyle="--", label=text)
    # A loss that diverges would leave no room for the rest.
    low, first = losses.min(), smoothed[0]
    room = max(first - low, 0.1 * abs(first))
    axes.set_ylim(low - 0.1 * room, first + room)
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss of a batch")
    axes.set_title(literal(title))
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
