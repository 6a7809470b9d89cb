"""Recursion backwards in time that the estimators have in common."""

import chex
import jax
import jax.numpy as jnp

from fdl.types import Array


def check(floats: list[Array], terminated: Array, truncated: Array) -> None:
    """Checks that arrays are of one shape, [T, ...], and floats, and ends bools."""
    chex.assert_type(floats, float)
    chex.assert_type([terminated, truncated], bool)
    chex.assert_equal_shape([*floats, terminated, truncated])


def accumulate(x: Array, decay: Array, last: Array | None = None) -> Array:
    """Discounted sums, ``y_t = x_t + decay_t y_{t+1}``, from the last to the first.

    Args:
      x: Terms, float [T, ...].
      decay: Factors of the sum after each step, float [T, ...]; zero where an episode
        ends.
      last: Sum after the last step, ``y_T``, float [...]. Default: zero.

    Returns:
      Sums, float [T, ...].
    """

    def step(y, inputs):
        x, decay = inputs
        y = x + decay * y
        return y, y

    last = jnp.zeros_like(x[0]) if last is None else last
    _, sums = jax.lax.scan(step, last, (x, decay), reverse=True)
    return sums


def shifted(x: Array, last: Array) -> Array:
    """Each row's successor, ``x_{t+1}``, and ``last`` in place of ``x_T``, [T, ...]."""
    return jnp.concatenate([x[1:], last[None]])
