"""Running statistics: count, mean and variance of all numbers so far."""

from typing import NamedTuple

import jax.numpy as jnp

from fdl.types import Array


class RunningStats(NamedTuple):
    """Running statistics of arrays [*shape], element by element.

    Attributes:
      count: Number of arrays, float32 [].
      mean: Mean, float32 [*shape].
      var: Variance, float32 [*shape].
    """

    count: Array  # type: ignore[assignment]  # In place of that of a tuple.
    mean: Array
    var: Array

    def scale(self, x: Array) -> Array:
        """Arrays [..., *shape], divided by the standard deviation √(var + 1e-8).

        Where the variance is zero they stay as they are.
        """
        deviation = jnp.sqrt(jnp.where(self.var > 0, self.var + 1e-8, 1))
        return x / expand(deviation, x.ndim)


def init_running_stats(shape: tuple[int, ...] = ()) -> RunningStats:
    """Statistics of nothing yet: a mean of zero and a variance of one.

    Args:
      shape: Shape of an array.
    """
    dtype = jnp.float32
    return RunningStats(
        jnp.zeros((), dtype), jnp.zeros(shape, dtype), jnp.ones(shape, dtype)
    )


def update_running_stats(
    stats: RunningStats, x: Array, mask: Array | None = None
) -> RunningStats:
    """Statistics of the old and the new arrays together.

    They are combined in float32, by the formula of Chan, Golub and LeVeque.

    Args:
      stats: Statistics.
      x: Arrays, [..., *shape].
      mask: True for arrays that count, bool [...]. Default: all of them.

    References:
      Chan, Golub and LeVeque, `Algorithms for Computing the Sample Variance
      <https://doi.org/10.1080/00031305.1983.10483115>`_, 1983.
    """
    axes = tuple(range(x.ndim - stats.mean.ndim))
    if mask is None:
        mask = jnp.ones(x.shape[: len(axes)], bool)
    number = mask.sum(dtype=jnp.float32)
    mask = mask.reshape(*mask.shape, *(1,) * stats.mean.ndim)

    def mean(x):
        # A selection, and not a product: what is masked may be NaN.
        return jnp.where(mask, x, 0).sum(axis=axes) / jnp.maximum(number, 1)

    # Relative to the old mean, numbers far from zero lose no digits to it.
    relative = x.astype(jnp.float32) - expand(stats.mean, x.ndim)
    delta = mean(relative)
    var = mean(jnp.square(relative - expand(delta, x.ndim)))
    count = stats.count + number
    share = number / jnp.maximum(count, 1)
    return RunningStats(
        count,
        stats.mean + delta * share,
        # Between the two means lies the rest of the variance.
        (1 - share) * stats.var + share * var + share * (1 - share) * jnp.square(delta),
    )


def expand(x: Array, ndim: int) -> Array:
    """Array with leading axes of size one, up to a number of axes."""
    return x.reshape(*(1,) * (ndim - x.ndim), *x.shape)
