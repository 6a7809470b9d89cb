"""What no sums can say exactly, of all examples at once."""

import jax
import jax.numpy as jnp

from fdl.metrics.one_vs_rest import average_problems, check_problems, problems
from fdl.metrics.regression import by_output, differences
from fdl.types import Array


def roc_auc(
    logits: Array, labels: Array, mask: Array | None = None, *, average: str = "macro"
) -> Array:
    """How likely a positive has a higher score than a negative.

    P(s⁺ > s⁻) + ½ P(s⁺ = s⁻), the area under the receiver operating characteristic.

    Args:
      logits: Float [B, ..., C]: each class against the rest, by its probability. Or
        float [B], any score of class 1 of two; or float [B, ..., L], of L labels.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted" or "binary", as in `fdl.metrics.roc_auc`.

    Returns:
      Float32 []; NaN without positives or negatives.

    Raises:
      UserError: The shapes do not fit, or do not have this average.

    Example:
      >>> scores = jnp.array([0.1, 0.9, 0.4, 0.35, 0.8, 0.5, 0.5, 0.5])
      >>> roc_auc(scores, jnp.array([0, 1, 1, 0, 1, 0, 0, 1]))
      Array(0.8125, dtype=float32)
    """

    def area(positives, negatives, below, up_to):
        lower = (negatives[below] + negatives[up_to]) / 2 / negatives[-1]
        return (jnp.diff(positives) * lower).sum() / positives[-1]

    return _of_problems(area, logits, labels, mask, average)


def average_precision(
    logits: Array, labels: Array, mask: Array | None = None, *, average: str = "macro"
) -> Array:
    """The area under the steps of precision over recall, Σₙ (Rₙ − Rₙ₋₁) Pₙ.

    Args:
      logits: As in `roc_auc`, and all the rest.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted" or "binary".

    Returns:
      Float32 []; 0 without positives, NaN without anything.

    Raises:
      UserError: The shapes do not fit, or do not have this average.
    """

    def area(positives, negatives, below, up_to):
        del up_to  # What scores the same is chosen with it.
        hits = positives[-1] - positives[below]
        false_alarms = negatives[-1] - negatives[below]
        chosen = jnp.where(hits + false_alarms == 0, 1, hits + false_alarms)
        found = (jnp.diff(positives) * hits / chosen).sum()
        some = found / jnp.where(positives[-1] == 0, 1, positives[-1])
        return jnp.where(positives[-1] + negatives[-1] == 0, jnp.nan, some)

    return _of_problems(area, logits, labels, mask, average)


def median_absolute_error(
    predictions: Array, targets: Array, mask: Array | None = None
) -> Array:
    """The median of |ŷ − y|: half of the weights have a larger error, half a smaller.

    Args:
      predictions: Float [B, ...].
      targets: Float [B, ...].
      mask: Weights, [B].

    Returns:
      Float32 [], the mean over outputs; NaN if nothing counts.

    Raises:
      UserError: The shapes do not fit.

    Example:
      >>> y, predicted = jnp.array([3, -0.5, 2, 7]), jnp.array([2.5, 0, 2, 8])
      >>> median_absolute_error(predicted, y)
      Array(0.5, dtype=float32)
    """
    errors, weights = by_output(differences(predictions, targets), mask)
    return jax.vmap(_median, in_axes=(1, None))(jnp.abs(errors), weights[:, 0]).mean()


def _of_problems(area, logits, labels, mask, average):
    """Averages an area under the curve of each problem.

    `area` takes sums of the weights of positives and of negatives in order of their
    scores, float [N + 1], and where in them each score begins and ends, int [N].
    """
    scores, positive, weights, valid = problems(logits, labels, mask)
    check_problems(average, scores.shape[-1])
    broken = jnp.any(~valid & (weights > 0))
    scores = jnp.where(weights > 0, scores, 0)  # Masked, it may even be NaN.

    def of(scores, positive, weights):
        order = jnp.argsort(scores)
        scores, positive, weights = scores[order], positive[order], weights[order]
        below = jnp.searchsorted(scores, scores, side="left")
        up_to = jnp.searchsorted(scores, scores, side="right")
        return area(_sums(weights * positive), _sums(weights * ~positive), below, up_to)

    areas = jax.vmap(of, in_axes=1)(scores, positive, weights)
    support = (weights * positive).sum(axis=0)
    return jnp.where(broken, jnp.nan, average_problems(areas, support, average))


def _sums(weights):
    return jnp.concatenate([jnp.zeros_like(weights[:1]), jnp.cumsum(weights)])


def _median(values, weights):
    """The mean of the least and the greatest value that halves the weights."""
    values = jnp.where(weights > 0, values, jnp.inf)
    order = jnp.argsort(values)
    sums = jnp.cumsum(weights[order])
    half = sums[-1] / 2
    least = jnp.searchsorted(sums, half, side="left")
    greatest = jnp.searchsorted(sums, half, side="right")
    middle = (values[order][least] + values[order][greatest]) / 2
    return jnp.where(half > 0, middle, jnp.nan)
