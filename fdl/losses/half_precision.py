"""Floating-point precision of losses."""

import jax.numpy as jnp

from fdl.types import Array


def at_least_float32(x: Array) -> Array:
    """Array promoted to float32; float64 is kept, for numerical gradient checks.

    Args:
      x: Numbers, [...].

    Returns:
      The same numbers, float32 or float64 [...].

    Example:
      >>> at_least_float32(jnp.ones(2, jnp.bfloat16)).dtype
      dtype('float32')
    """
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
