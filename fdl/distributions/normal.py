"""Normal distribution with a diagonal covariance."""

import math

import jax
import jax.numpy as jnp

from fdl.distributions.distribution import (
    Distribution,
    check_vector,
    distribution,
    pair_of,
)
from fdl.types import Array, Key, PyTree


def normal() -> Distribution:
    """Normal (Gaussian) distribution with a diagonal covariance, of x, float [..., A].

    Parameters are a pair: means and logarithms of the standard deviations, each float
    [..., A], such as the outputs of `models.GaussianHead`.

    Example:
      >>> params = jnp.zeros(2), jnp.zeros(2)
      >>> normal().log_prob(params, jnp.array([0.0, 1.0]))
      Array(-2.3379, dtype=float32)
    """

    def log_prob(params, x):
        mean, log_std = moments(params)
        check_vector(x, mean.shape)
        return density(x - mean, log_std).sum(axis=-1)

    def entropy(params):
        _, log_std = moments(params)
        return (log_std + 0.5 * math.log(2 * math.pi * math.e)).sum(axis=-1)

    return distribution(draw, log_prob, entropy, lambda params: moments(params)[0])


def moments(params: PyTree) -> tuple[Array, Array]:
    """Means and logarithms of the standard deviations, at least float32."""
    return pair_of(params, "mean, log_std", "GaussianHead")


def draw(params: PyTree, key: Key) -> Array:
    """Sample of a normal distribution, float [..., A]."""
    mean, log_std = moments(params)
    return mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape, mean.dtype)


def density(deviation: Array, log_std: Array) -> Array:
    """Log-density of each number, by its deviation from the mean, float [..., A]."""
    z = deviation * jnp.exp(-log_std)
    return -0.5 * jnp.square(z) - log_std - 0.5 * math.log(2 * math.pi)
