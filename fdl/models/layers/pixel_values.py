"""Discrete values of pixels, for models of images as sequences of classes."""

import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array


def pixel_values(images: Array, num_values: int) -> Array:
    """Discrete values 0 to V − 1 of the pixels of images.

    Args:
      images: Values, int [...], which are returned as they are; or pixels v / (V − 1)
        from 0 to 1, float [...], rounded to the nearest value v.
      num_values: Number of values V.

    Returns:
      Values, int32 [...]; -1 for a pixel that is not from 0 to 1.

    Raises:
      UserError: Floats have a single value, so that there is no scale.

    Example:
      >>> pixel_values(jnp.array([0.0, 0.25, 1.0]), 17).tolist()
      [0, 4, 16]
    """
    if not jnp.issubdtype(images.dtype, jnp.inexact):
        return images.astype(jnp.int32)
    if num_values < 2:
        raise UserError(f"num_values={num_values}: expected at least 2 of floats")
    # In float32: bfloat16 has no 255 steps between 0 and 1.
    wide = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    values = jnp.round(wide * (num_values - 1)).astype(jnp.int32)
    # NaN has no place between 0 and 1 either.
    return jnp.where((wide >= 0) & (wide <= 1), values, -1)
