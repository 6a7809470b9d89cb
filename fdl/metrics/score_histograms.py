"""Histograms of the scores of positives and negatives, as mergeable counts."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.exact_counts import Counts, count, nan_if_invalid
from fdl.metrics.one_vs_rest import check_problems, problems
from fdl.types import Array

# Logits beyond ±10⁴ fall into the first and the last bin.
LARGEST = 1e4


class Histograms(NamedTuple):
    """Histograms of the scores of K binary problems in M bins.

    Attributes:
      positives: Counts of positives in each bin, [K, M].
      negatives: Counts of negatives in each bin, [K, M].
    """

    positives: Counts
    negatives: Counts

    def above(self) -> tuple[Array, Array]:
        """Counts above each bin edge, highest edge first, two float32 [K, M + 1]."""
        return _above(self.positives), _above(self.negatives)

    def support(self) -> Array:
        """Number of positives, float32 [K]."""
        return self.positives.sum().value()


def histograms(
    logits: Array, labels: Array, mask: Array | None, average: str, num_bins: int
) -> Histograms:
    """Histograms of the scores of positives and negatives.

    Bins are of equal width in asinh(logit): with 4096 bins, 0.005 around zero and half
    a percent of the logit far from it.

    Args:
      logits: Logits, in one of the forms of `one_against_rest.problems`.
      labels: Labels, in the corresponding form.
      mask: Weights, [B, ...].
      average: "macro", "weighted" or "binary".
      num_bins: Number M of bins.

    Raises:
      UserError: The shapes do not match, or the average does not apply to them.
    """
    if num_bins < 1:
        raise UserError(f"num_bins={num_bins}: expected at least 1")
    scores, positive, weights, valid = problems(logits, labels, mask)
    size = scores.shape[-1]
    check_problems(average, size)
    # asinh is linear around zero and logarithmic far from it, so that the bins resolve
    # confident scores as well.
    position = jnp.arcsinh(scores) / jnp.arcsinh(LARGEST)  # From −1 to 1.
    bins = jnp.floor((position + 1) / 2 * num_bins)
    # The conversion to integers is undefined for NaN, which is not valid, and for ∞.
    bins = jnp.clip(jnp.where(valid, bins, 0), 0, num_bins - 1).astype(jnp.int32)
    # Bins of all problems are numbered consecutively, for a single sum by group.
    cells = bins + num_bins * jax.lax.broadcasted_iota(jnp.int32, bins.shape, 1)

    def histogram(selected):
        sums = count(cells, weights * selected, size * num_bins)
        counts = nan_if_invalid(sums, valid, weights)
        return jax.tree.map(lambda x: x.reshape(size, num_bins), counts)

    return Histograms(histogram(positive), histogram(~positive))


def _above(counts: Counts) -> Array:
    """Cumulative counts from the highest bin down, with a leading zero."""

    def cumulative(x):
        sums = jnp.cumsum(x[..., ::-1], axis=-1)
        return jnp.concatenate([jnp.zeros_like(sums[..., :1]), sums], axis=-1)

    # Integral and fractional parts are accumulated apart, which keeps counts exact.
    return Counts(*map(cumulative, counts)).value()
