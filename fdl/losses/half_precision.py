"""The precision that losses are computed in."""

import jax.numpy as jnp

from fdl.types import Array


def at_least_float32(x: Array) -> Array:
    """The numbers as float32; float64 stays, so that gradients can be checked.

    Example:
      >>> at_least_float32(jnp.ones(2, jnp.bfloat16)).dtype
      dtype('float32')
    """
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
