"""What passes through each layer, over time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from fdl.plots.figure import colors, new_figure, step_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_NAMED = 12


def layer_norms(
    steps: Sequence[int],
    gradients: Mapping[str, np.ndarray],
    activations: Mapping[str, np.ndarray],
    *,
    title: str = "",
) -> "Figure":
    """The size of gradients and of activations in each layer over time, log scale.

    Dark is close to the inputs, light close to the outputs: where gradients vanish, the
    dark lines lie far below the light ones. What is zero is left out.

    Args:
      steps: At which it was measured, [T].
      gradients: Norm of the gradient of a layer's parameters, [T] or [T, S], by layer
        in their order; over seeds the median is drawn.
      activations: Root mean square of a layer's outputs, the same.
      title: Above.

    Raises:
      ValueError: There are not as many numbers as steps.
    """
    figure = new_figure(11, 4.6, title)
    left, right = figure.subplots(1, 2)
    tones = dict(zip(gradients, colors(len(gradients), ordered=True), strict=True))
    for axes, norms in ((left, gradients), (right, activations)):
        least = [_line(axes, steps, norms[name], tones[name], name) for name in norms]
        if any(least):
            axes.set_yscale("log")
        step_axis(axes)
    left.set_ylabel("norm of the gradient")
    right.set_ylabel("root mean square of the outputs")
    left.set_title("gradient of each layer's parameters", fontsize=10)
    right.set_title("outputs of each layer", fontsize=10)
    _legend(figure, left.get_lines(), [*gradients])
    return figure


def _legend(figure, lines, names) -> None:
    places = np.linspace(0, len(names) - 1, min(MOST_NAMED, len(names)))
    chosen = sorted({*places.round().astype(int)})
    figure.legend(
        [lines[i] for i in chosen],
        [names[i] for i in chosen],
        loc="outside right upper",
        fontsize=8,
        title="layer" if len(chosen) == len(names) else f"of {len(names)} layers",
    )


def _line(axes, steps, values, color, name) -> bool:
    """Draws one; says whether there was anything that a log scale can show."""
    values = np.asarray(values, np.float64)
    if len(values) != len(steps):
        raise ValueError(f"{name} has {len(values)} numbers for {len(steps)} steps")
    values = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    values = values.reshape(len(steps), -1)
    seen = ~np.isnan(values).all(axis=1)
    middle = np.full(len(steps), np.nan)
    middle[seen] = np.nanmedian(values[seen], axis=1)
    marker = "." if len(steps) < 20 else ""
    axes.plot(steps, middle, color=color, marker=marker, linewidth=1.2)
    return bool(seen.any())
