"""How the scores of yes and of no are spread, in mergeable counts."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.exact_counts import Counts, count, spoil
from fdl.metrics.one_vs_rest import check_problems, problems
from fdl.types import Array

LARGEST = 1e4  # Logits beyond it fall into the first and the last bin.


class Histograms(NamedTuple):
    """How many positives and negatives have a score in each bin, each [K, M]."""

    positives: Counts
    negatives: Counts

    def above(self) -> tuple[Array, Array]:
        """How many there are above each edge, highest first, float32 [K, M + 1]."""
        return _above(self.positives), _above(self.negatives)

    def support(self) -> Array:
        """How many positives there are, float32 [K]."""
        return self.positives.sum().value()


def histograms(
    logits: Array, labels: Array, mask: Array | None, average: str, num_bins: int
) -> Histograms:
    """Counts positives and negatives by score.

    Bins are of equal width in asinh(logit): with 4096 of them, of 0.005 around zero
    and of half a percent of the logit far from it.

    Args:
      logits: In one of the forms that `one_against_rest.problems` takes.
      labels: The same.
      mask: Weights, [B, ...].
      average: "macro", "weighted" or "binary".
      num_bins: M.

    Raises:
      UserError: The shapes do not fit, or do not have this average.
    """
    if num_bins < 1:
        raise UserError(f"num_bins is {num_bins}: expected at least 1")
    scores, positive, weights, valid = problems(logits, labels, mask)
    size = scores.shape[-1]
    check_problems(average, size)
    height = jnp.arcsinh(scores) / jnp.arcsinh(LARGEST)  # From −1 to 1.
    bins = jnp.floor((height + 1) / 2 * num_bins)
    bins = jnp.clip(jnp.where(valid, bins, 0), 0, num_bins - 1).astype(jnp.int32)
    places = bins + num_bins * jax.lax.broadcasted_iota(jnp.int32, bins.shape, 1)

    def of(those):
        counts = spoil(count(places, weights * those, size * num_bins), valid, weights)
        return jax.tree.map(lambda x: x.reshape(size, num_bins), counts)

    return Histograms(of(positive), of(~positive))


def _above(counts: Counts) -> Array:
    def from_the_top(x):
        sums = jnp.cumsum(x[..., ::-1], axis=-1)
        return jnp.concatenate([jnp.zeros_like(sums[..., :1]), sums], axis=-1)

    return Counts(*map(from_the_top, counts)).value()
