"""Calibration error and reliability diagram of classifiers."""

from typing import NamedTuple

import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.decisions import decide, weights_of
from fdl.metrics.exact_counts import segment_sum
from fdl.metrics.scoring_rules import log_probabilities
from fdl.types import Array


class CalibrationError(NamedTuple):
    """Sums of confidence and accuracy, binned by confidence.

    Attributes:
      weight: Sum of the weights in each bin, Σ w, float32 [M].
      confidence: Sum of the confidences, Σ w c, float32 [M].
      gap: Sum of the differences of accuracy and confidence, Σ w (a − c), with a = 1
        for correct predictions and a = 0 for others, float32 [M].
    """

    weight: Array
    confidence: Array
    gap: Array

    def curve(self) -> tuple[Array, Array, Array]:
        """Reliability diagram: mean confidence, accuracy and weight of each bin.

        Returns:
          Three arrays, float32 [M]; the first two are NaN for empty bins.
        """
        confidence = self.confidence / self.weight
        return confidence, confidence + self.gap / self.weight, self.weight

    def maximum(self) -> Array:
        """Maximum calibration error, float32 []; NaN if all bins are empty."""
        # Empty bins are 0 / 0, which must not be mistaken for sums that are NaN.
        gaps = jnp.where(self.weight == 0, -jnp.inf, jnp.abs(self.gap) / self.weight)
        largest = gaps.max(axis=-1)
        return jnp.where(largest < 0, jnp.nan, largest)

    def compute(self) -> Array:
        """Expected calibration error, float32 []; NaN if all bins are empty."""
        return jnp.abs(self.gap).sum(axis=-1) / self.weight.sum(axis=-1)


def calibration_error(
    logits: Array, labels: Array, mask: Array | None = None, *, num_bins: int = 15
) -> CalibrationError:
    """Expected calibration error (ECE), Σₘ |Bₘ|/n |acc(Bₘ) − conf(Bₘ)|.

    It is the mean absolute difference of accuracy and confidence over bins Bₘ of equal
    width, ((m − 1)/M, m/M]. The confidence is the largest probability, and accuracy is
    that of its class; with one logit, the confidence is the probability of class 1, and
    accuracy the frequency of that class. The error depends on the number of bins, which
    has to be the same for models that are compared.

    Args:
      logits: Logits of the classes, float [B, ..., C]; or the logit of class 1 of two,
        float [B, ...].
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      num_bins: Number M of bins.

    Returns:
      The metric; ``maximum()`` is the maximum calibration error, and ``curve()`` the
      reliability diagram.

    Raises:
      UserError: The shapes do not match, or `logits` are not floats.

    Example:
      >>> logits = jnp.array([[9.0, -9.0], [9.0, -9.0]])
      >>> calibration_error(logits, jnp.array([0, 1])).compute()
      Array(0.5, dtype=float32)

    References:
      Guo et al., `On Calibration of Modern Neural Networks
      <https://arxiv.org/abs/1706.04599>`_, 2017.
    """
    if num_bins < 1:
        raise UserError(f"num_bins={num_bins}: expected at least 1")
    log_probs, actual, valid = log_probabilities(logits, labels)
    # Not the largest of the log-probabilities, which rounding may make equal.
    predicted = decide(logits, labels).predicted
    if jnp.ndim(logits) == actual.ndim:
        predicted = jnp.ones_like(predicted)
    confidence = jnp.exp(
        jnp.take_along_axis(log_probs, predicted[..., None], axis=-1).squeeze(-1)
    )
    weights = weights_of(mask, actual.shape)
    # Inner edges alone, so that confidences of 0 and 1 fall into the outer bins. The
    # search from the left puts a confidence on an edge into the bin below it.
    edges = jnp.arange(1, num_bins, dtype=jnp.float32) / num_bins
    bins = jnp.searchsorted(edges, confidence)

    def sums(values):
        # Masked values may be NaN and must not count, whereas an invalid label that is
        # not masked makes the sum NaN.
        values = jnp.where(valid, values, jnp.nan)
        weighted = jnp.where(weights == 0, 0, weights * values)
        return segment_sum(weighted, bins, num_bins)

    gap = (predicted == actual) - confidence
    return CalibrationError(
        sums(jnp.ones_like(confidence)), sums(confidence), sums(gap)
    )
