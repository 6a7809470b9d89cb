"""Standardised advantages."""

import jax.numpy as jnp

from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def standardized(advantage: Array, mask: Array | None = None) -> Array:
    """Advantages with a mean of zero and a variance of one, over the whole batch.

    ``(A - mean) / sqrt(var + 1e-5)``, in at least float32.

    Args:
      advantage: Advantages, float [B, ...].
      mask: True for those that count, bool [B, ...]. Default: all of them.
    """
    advantage = at_least_float32(advantage)
    mean = jnp.mean(advantage, where=mask)
    var = jnp.mean(jnp.square(advantage - mean), where=mask)
    return (advantage - mean) / jnp.sqrt(var + 1e-5)
