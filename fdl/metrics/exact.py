"""Exact rank statistics, which need all examples at once.

No fixed number of sums determines them, so that they cannot be merged over batches.
"""

import jax
import jax.numpy as jnp

from fdl.metrics.one_vs_rest import average_problems, check_problems, problems
from fdl.metrics.regression import by_output, differences
from fdl.types import Array


def roc_auc(
    logits: Array, labels: Array, mask: Array | None = None, *, average: str = "macro"
) -> Array:
    """Area under the ROC curve, P(s⁺ > s⁻) + ½ P(s⁺ = s⁻).

    It is the probability that a positive has a higher score than a negative.

    Args:
      logits: Logits of the classes, float [B, ..., C], for each class against the rest.
        Or any score of class 1 of two, float [B]; or logits of L labels, float
        [B, ..., L].
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted" or "binary", as in `fdl.metrics.roc_auc`.

    Returns:
      Float32 []; NaN without positives or negatives.

    Raises:
      UserError: The shapes do not match, or the average does not apply to them.

    Example:
      >>> scores = jnp.array([0.1, 0.9, 0.4, 0.35, 0.8, 0.5, 0.5, 0.5])
      >>> roc_auc(scores, jnp.array([0, 1, 1, 0, 1, 0, 0, 1]))
      Array(0.8125, dtype=float32)
    """

    def area(positives, negatives, below, up_to):
        # Share of the negatives below each score; those of equal score count half.
        lower = (negatives[below] + negatives[up_to]) / 2 / negatives[-1]
        return (jnp.diff(positives) * lower).sum() / positives[-1]

    return _average_area(area, logits, labels, mask, average)


def average_precision(
    logits: Array, labels: Array, mask: Array | None = None, *, average: str = "macro"
) -> Array:
    """Average precision, Σₙ (Rₙ − Rₙ₋₁) Pₙ, without interpolation.

    Args:
      logits: Logits or scores, as in `roc_auc`.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted" or "binary".

    Returns:
      Float32 []; 0 without positives, NaN if all weights are zero.

    Raises:
      UserError: The shapes do not match, or the average does not apply to them.
    """

    def area(positives, negatives, below, up_to):
        # A threshold at a score includes all examples of equal score.
        del up_to
        hits = positives[-1] - positives[below]
        false_positives = negatives[-1] - negatives[below]
        predicted = jnp.where(hits + false_positives == 0, 1, hits + false_positives)
        precision_sum = (jnp.diff(positives) * hits / predicted).sum()
        precision = precision_sum / jnp.where(positives[-1] == 0, 1, positives[-1])
        return jnp.where(positives[-1] + negatives[-1] == 0, jnp.nan, precision)

    return _average_area(area, logits, labels, mask, average)


def median_absolute_error(
    predictions: Array, targets: Array, mask: Array | None = None
) -> Array:
    """Median absolute error, the weighted median of |ŷ − y|.

    Args:
      predictions: Predictions ŷ, float [B, ...].
      targets: Targets y, float [B, ...].
      mask: Weights, [B].

    Returns:
      Float32 [], the mean over outputs; NaN if all weights are zero, or if an error
      with a weight is NaN.

    Raises:
      UserError: The shapes do not match.

    Example:
      >>> targets, predictions = jnp.array([3, -0.5, 2, 7]), jnp.array([2.5, 0, 2, 8])
      >>> median_absolute_error(predictions, targets)
      Array(0.5, dtype=float32)
    """
    errors, weights = by_output(differences(predictions, targets), mask)
    if not errors.shape[0]:
        return jnp.float32(jnp.nan)
    return jax.vmap(_median, in_axes=(1, None))(jnp.abs(errors), weights[:, 0]).mean()


def _average_area(area, logits, labels, mask, average):
    """Average over binary problems of the area under a curve.

    Args:
      area: Function of the cumulative weights of positives and of negatives in order of
        increasing scores, float [N + 1] each, and of the positions in these at which
        each score begins and ends, int [N] each.
      logits: Logits or scores, as in `roc_auc`.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted" or "binary".
    """
    scores, positive, weights, valid = problems(logits, labels, mask)
    if not scores.shape[0]:
        return jnp.float32(jnp.nan)
    check_problems(average, scores.shape[-1])
    invalid = jnp.any(~valid & (weights > 0))
    # Masked scores may be NaN, which would break the order that the search relies on.
    scores = jnp.where(weights > 0, scores, 0)

    def area_of_problem(scores, positive, weights):
        order = jnp.argsort(scores)
        scores, positive, weights = scores[order], positive[order], weights[order]
        # Both ends of the run of equal scores that each one belongs to.
        below = jnp.searchsorted(scores, scores, side="left")
        up_to = jnp.searchsorted(scores, scores, side="right")
        positives = _cumulative(weights * positive)
        negatives = _cumulative(weights * ~positive)
        return area(positives, negatives, below, up_to)

    areas = jax.vmap(area_of_problem, in_axes=1)(scores, positive, weights)
    support = (weights * positive).sum(axis=0)
    return jnp.where(invalid, jnp.nan, average_problems(areas, support, average))


def _cumulative(weights):
    """Cumulative sums with a leading zero, float [N + 1]."""
    return jnp.concatenate([jnp.zeros_like(weights[:1]), jnp.cumsum(weights)])


def _median(values, weights):
    """Weighted median: the mean of the lower and the upper median."""
    # Values of weight zero come last, where the search does not reach them.
    values = jnp.where(weights > 0, values, jnp.inf)
    order = jnp.argsort(values)
    sums = jnp.cumsum(weights[order])
    half = sums[-1] / 2
    # They differ where a cumulative weight is exactly half of the total.
    lower = jnp.searchsorted(sums, half, side="left")
    upper = jnp.searchsorted(sums, half, side="right")
    median = (values[order][lower] + values[order][upper]) / 2
    # NaN has no place in the order.
    defined = (half > 0) & ~jnp.any(jnp.isnan(values))
    return jnp.where(defined, median, jnp.nan)
