"""Plot of gradient and activation norms of each layer over training."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from fdl.errors import UserError
from fdl.plots.class_names import literal
from fdl.plots.figure import colors, drawable, new_figure, step_axis

MOST_NAMED = 12


def layer_stats(
    steps: Sequence[int],
    gradients: Mapping[str, np.ndarray],
    activations: Mapping[str, np.ndarray],
    *,
    title: str = "",
) -> Figure:
    """Plots the norms of gradients and activations of each layer on a log scale.

    Lines go from dark, next to the inputs, to light, next to the outputs: where
    gradients vanish, dark lines lie far below light ones. Zeros are left out.

    Args:
      steps: Steps of the measurements, [T].
      gradients: Gradient norms of the parameters of each layer, from inputs to outputs,
        [T] or [T, S]; over S seeds the median is drawn.
      activations: Root mean squares of the outputs of each layer, in the same form.
      title: Title of the figure; none if empty.

    Raises:
      UserError: The number of values of a layer differs from that of steps.
    """
    figure = new_figure(11, 4.6, title)
    left, right = figure.subplots(1, 2)
    tones = dict(zip(gradients, colors(len(gradients), ordered=True), strict=True))
    for axes, norms in ((left, gradients), (right, activations)):
        drawn = [
            _draw_line(axes, steps, norms[name], tones[name], name) for name in norms
        ]
        # Matplotlib warns about a log scale on axes without positive values.
        if any(drawn):
            axes.set_yscale("log")
        step_axis(axes)
    left.set_ylabel("norm of the gradient")
    right.set_ylabel("root mean square of the outputs")
    left.set_title("gradient of each layer's parameters", fontsize=10)
    right.set_title("outputs of each layer", fontsize=10)
    _legend(figure, left.get_lines(), [*gradients])
    return figure


def _legend(figure, lines, names) -> None:
    # Evenly spaced layers, the first and the last among them.
    spaced = np.linspace(0, len(names) - 1, min(MOST_NAMED, len(names)))
    chosen = sorted({*spaced.round().astype(int)})
    figure.legend(
        [lines[i] for i in chosen],
        [literal(names[i]) for i in chosen],
        loc="outside right upper",
        fontsize=8,
        title="layer" if len(chosen) == len(names) else f"of {len(names)} layers",
    )


def _draw_line(axes, steps, values, color, name) -> bool:
    """Draws the line of a layer; True if it has a positive value."""
    values = np.asarray(values, np.float64)
    if len(values) != len(steps):
        raise UserError(
            f"{len(values)} values of layer {name!r}: expected {len(steps)}, as steps"
        )
    values = np.where(np.isfinite(values) & (values > 0), drawable(values), np.nan)
    values = values.reshape(len(steps), -1)
    # `nanmedian` warns about rows of NaN, so these are left out.
    valid = ~np.isnan(values).all(axis=1)
    median = np.full(len(steps), np.nan)
    median[valid] = np.nanmedian(values[valid], axis=1)
    marker = "." if len(steps) < 20 else ""
    axes.plot(steps, median, color=color, marker=marker, linewidth=1.2)
    return bool(valid.any())
