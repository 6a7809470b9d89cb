"""Losses for numbers."""

import chex
import jax.numpy as jnp

from fdl.types import Array


def squared_error(predictions: Array, targets: Array) -> Array:
    """The squared difference of each pair, (ŷ − y)²; not half of it.

    Args:
      predictions: Float [...].
      targets: Float [...].

    Returns:
      The loss of each number, float32 [...].

    Example:
      >>> squared_error(jnp.array([1.0, 4.0]), jnp.array([1.0, 2.0]))
      Array([0., 4.], dtype=float32)
    """
    return jnp.square(_difference(predictions, targets))


def absolute_error(predictions: Array, targets: Array) -> Array:
    """The absolute difference of each pair, |ŷ − y|.

    Args:
      predictions: Float [...].
      targets: Float [...].

    Returns:
      The loss of each number, float32 [...].
    """
    return jnp.abs(_difference(predictions, targets))


def _difference(predictions, targets):
    chex.assert_equal_shape([predictions, targets])
    chex.assert_type([predictions, targets], float)
    return predictions.astype(jnp.float32) - targets.astype(jnp.float32)
