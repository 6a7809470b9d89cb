"""Use of a codebook: the number of codes in use, and their perplexity."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.scipy.special import xlogy

from fdl.metrics.decisions import weights_of
from fdl.types import Array


class CodesUsed(NamedTuple):
    """Number of codes that are used at all.

    Attributes:
      counts: Weighted number of uses of each code, float32 [K].
    """

    counts: Array

    def compute(self) -> Array:
        """Number of codes with a positive count, float []."""
        return (self.counts > 0).sum(axis=-1).astype(jnp.float32)


class CodePerplexity(NamedTuple):
    """Perplexity of the codes.

    Attributes:
      counts: Weighted number of uses of each code, float32 [K].
    """

    counts: Array

    def compute(self) -> Array:
        """Perplexity, float []; NaN if the total weight is zero."""
        shares = self.counts / self.counts.sum(axis=-1, keepdims=True)
        return jnp.exp(-xlogy(shares, shares).sum(axis=-1))


def codes_used(codes: Array, num_codes: int, mask: Array | None = None) -> CodesUsed:
    """Number of codes of a codebook that are used, by all examples together.

    A codebook of which few codes are used has died for the most part: codes that are
    nearest to no input get no gradient, and stay so.

    Args:
      codes: Index of each code, int [B, ...].
      num_codes: Number K of codes.
      mask: Weights of the examples, [B].

    Example:
      >>> codes_used(jnp.array([0, 0, 3]), num_codes=4).compute()
      Array(2., dtype=float32)
    """
    return CodesUsed(_counts(codes, num_codes, mask))


def code_perplexity(
    codes: Array, num_codes: int, mask: Array | None = None
) -> CodePerplexity:
    """Perplexity of codes, exp(−Σₖ pₖ log pₖ): the effective number of codes in use.

    pₖ is the share of code k among the codes of all examples together.

    Args:
      codes: Index of each code, int [B, ...].
      num_codes: Number K of codes.
      mask: Weights of the examples, [B].

    Example:
      >>> code_perplexity(jnp.array([0, 0, 3, 3]), num_codes=4).compute()
      Array(2., dtype=float32)
    """
    return CodePerplexity(_counts(codes, num_codes, mask))


def _counts(codes: Array, num_codes: int, mask: Array | None) -> Array:
    """Weighted number of uses of each code, float32 [K]."""
    weights = weights_of(mask, codes.shape[:1])
    weights = jnp.repeat(weights, codes.size // max(1, len(codes)))
    zeros = jnp.zeros(num_codes, jnp.float32)
    return zeros.at[codes.reshape(-1)].add(weights.astype(jnp.float32))
