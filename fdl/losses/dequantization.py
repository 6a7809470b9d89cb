"""Uniform dequantisation of discrete data, and its likelihood in bits per dimension."""

import math

import jax

from fdl.errors import UserError, check_positive
from fdl.losses.half_precision import at_least_float32
from fdl.types import Array, Key


def dequantize(values: Array, key: Key, *, levels: int) -> Array:
    """Uniform dequantisation, y = (k + u) / L with u ~ U[0, 1), of the levels k < L.

    A density of discrete values has no bound: it can be infinite at each of them. With
    noise as wide as a level, the mean of log p(y) − D log L over the noise is at most
    the log-probability of the D values, the integral of p over their cell.

    Args:
      values: Values k / (L − 1) from 0 to 1, float [...], as images are preprocessed.
      key: Key of the noise.
      levels: Number L of levels, at least 2: 256 of bytes.

    Returns:
      Values from 0 to 1, float32 [...].

    Raises:
      UserError: There are fewer than two levels.

    Example:
      >>> import jax.numpy as jnp
      >>> y = dequantize(jnp.array([0.0, 0.5, 1.0]), jax.random.key(0), levels=3)
      >>> jnp.floor(3 * y).tolist()  # Each in its level.
      [0.0, 1.0, 2.0]

    References:
      Theis, van den Oord and Bethge, `A note on the evaluation of generative models
      <https://arxiv.org/abs/1511.01844>`_, 2016.
    """
    if levels < 2:
        raise UserError(f"levels={levels}: expected at least 2")
    values = at_least_float32(values)
    noise = jax.random.uniform(key, values.shape, values.dtype)
    return (values * (levels - 1) + noise) / levels


def bits_per_dimension(nll: Array, num_dimensions: int, *, levels: int = 1) -> Array:
    """Bits per dimension, (−log p(y) + D log L) / (D log 2), of dequantised data.

    Args:
      nll: Negative log-likelihood −log p(y) of each example in nats, float [...]: of
        dequantised values y of L levels, or of discrete ones with L = 1.
      num_dimensions: Number D of values of an example.
      levels: Number L of levels.

    Returns:
      Bits of each value of an example, float32 [...].

    Raises:
      UserError: There are no dimensions, or no levels.

    Example:
      >>> import jax.numpy as jnp
      >>> bits_per_dimension(jnp.zeros(1), 64, levels=256)  # A uniform density.
      Array([8.], dtype=float32)
    """
    check_positive(num_dimensions=num_dimensions, levels=levels)
    nats = at_least_float32(nll) / num_dimensions + math.log(levels)
    return nats / math.log(2)
