"""Whether what is said to be likely is as frequent as it is said to be."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.decisions import weights_of
from fdl.metrics.scoring_rules import log_probabilities
from fdl.types import Array


class CalibrationError(NamedTuple):
    """Confidence and what came of it, by confidence; each leaf is float32 [M].

    Attributes:
      weight: Sum of the weights in a bin, Σ w.
      confidence: Sum of the confidences, Σ w c.
      gap: Sum of the differences, Σ w (a − c), with a = 1 where it was right.
    """

    weight: Array
    confidence: Array
    gap: Array

    def curve(self) -> tuple[Array, Array, Array]:
        """The reliability diagram: mean confidence, accuracy and weight of each bin.

        Returns:
          Three float32 [M]; NaN for the first two where nothing is in the bin.
        """
        confidence = self.confidence / self.weight
        return confidence, confidence + self.gap / self.weight, self.weight

    def maximum(self) -> Array:
        """The largest difference of any bin, float32 []; NaN if all are empty."""
        gaps = jnp.where(self.weight == 0, -jnp.inf, jnp.abs(self.gap) / self.weight)
        largest = gaps.max(axis=-1)
        return jnp.where(largest < 0, jnp.nan, largest)

    def compute(self) -> Array:
        """The expected calibration error, float32 []; NaN if all bins are empty."""
        return jnp.abs(self.gap).sum(axis=-1) / self.weight.sum(axis=-1)


def calibration_error(
    logits: Array, labels: Array, mask: Array | None = None, *, num_bins: int = 15
) -> CalibrationError:
    """The expected difference of confidence and accuracy, Σₘ |Bₘ|/n |acc − conf|.

    Confidence is the largest probability, right if its class is the label; with one
    logit, it is the probability of class 1, and right if that is the label. Bins Bₘ
    are of equal width, ((m − 1)/M, m/M]. The error depends on their number: it is
    compared between models for the same number only.

    Args:
      logits: Float [B, ..., C]; or float [B, ...], the logit of class 1 of two.
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      num_bins: M.

    Returns:
      The metric; ``maximum()`` is the maximum calibration error, and ``curve()`` the
      reliability diagram.

    Raises:
      UserError: The shapes do not fit, or `logits` are no floats.

    Example:
      >>> sure = jnp.array([[9.0, -9.0], [9.0, -9.0]])
      >>> calibration_error(sure, jnp.array([0, 1])).compute()
      Array(0.5, dtype=float32)

    References:
      Guo et al., `On Calibration of Modern Neural Networks
      <https://arxiv.org/abs/1706.04599>`_, 2017.
    """
    if num_bins < 1:
        raise UserError(f"num_bins is {num_bins}: expected at least 1")
    log_probs, actual, valid = log_probabilities(logits, labels)
    chosen = jnp.argmax(log_probs, axis=-1)
    if jnp.ndim(logits) == actual.ndim:
        chosen = jnp.ones_like(chosen)
    confidence = jnp.exp(
        jnp.take_along_axis(log_probs, chosen[..., None], axis=-1).squeeze(-1)
    )
    weights = weights_of(mask, actual.shape)
    edges = jnp.arange(1, num_bins, dtype=jnp.float32) / num_bins
    bins = jnp.searchsorted(edges, confidence)

    def sums(values):
        # What is masked may be anything, even NaN; what is not valid spoils the sum.
        values = jnp.where(valid, values, jnp.nan)
        weighted = jnp.where(weights > 0, weights * values, 0)
        return jax.ops.segment_sum(weighted.reshape(-1), bins.reshape(-1), num_bins)

    gap = (chosen == actual) - confidence
    return CalibrationError(
        sums(jnp.ones_like(confidence)), sums(confidence), sums(gap)
    )
