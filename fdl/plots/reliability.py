"""Reliability diagram."""

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from fdl import metrics
from fdl.plots.class_names import check_probabilities
from fdl.plots.figure import COLORS, new_figure


def reliability(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    num_bins: int = 15,
    title: str = "",
) -> Figure:
    """Plots a reliability diagram: accuracy over confidence in equal-width bins.

    The upper panel has the accuracy and the mean confidence of each bin: predictions
    are overconfident where accuracy is below the diagonal. The lower panel has the
    share of examples in each bin. Values are those of `fdl.metrics.calibration_error`.

    Args:
      labels: True classes, int [N]; examples with a negative label are ignored.
      probabilities: Predicted probabilities, float [N, C]; confidence is the largest.
      num_bins: Number of bins of equal width between 0 and 1.
      title: Title of the figure; none if empty.

    Raises:
      UserError: The shapes do not match, or a label is out of range.

    References:
      Guo et al., `On Calibration of Modern Neural Networks
      <https://arxiv.org/abs/1706.04599>`_, 2017.
    """
    labels, probabilities = check_probabilities(labels, probabilities)
    # The metric takes logits. A probability of zero becomes -inf, which its softmax
    # maps back to zero.
    with np.errstate(divide="ignore"):
        logits = jnp.asarray(np.log(np.asarray(probabilities, np.float32)))
    error = metrics.calibration_error(logits, jnp.asarray(labels), num_bins=num_bins)
    confidence, accuracy, weight = (np.asarray(part) for part in error.curve())
    filled = weight > 0  # Empty bins have no accuracy: NaN.
    centres = (np.arange(num_bins) + 0.5) / num_bins
    figure = new_figure(5.2, 5.6, title)
    above, below = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1]}
    )
    width = 0.9 / num_bins
    above.bar(
        centres[filled], accuracy[filled], width, color=COLORS[5], label="accuracy"
    )
    above.plot(
        centres[filled],
        confidence[filled],
        linestyle="",
        marker="_",
        markersize=16,
        markeredgewidth=2,
        color=COLORS[1],
        label="mean confidence",
    )
    above.plot([0, 1], [0, 1], color="0.4", linestyle="--", linewidth=1)
    above.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy")
    above.set_title(
        f"expected calibration error {float(error.compute()):.4f}, "
        f"maximum {float(error.maximum()):.4f}",
        fontsize=10,
    )
    above.legend(loc="upper left", fontsize=8)
    total = max(float(weight.sum()), 1.0)
    below.bar(centres, weight / total, width, color="0.6")
    below.set(xlabel="confidence", ylabel="share of\nexamples")
    for axes in (above, below):
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    return figure
