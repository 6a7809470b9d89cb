"""Beta distribution of independent numbers between zero and one."""

import jax
import jax.numpy as jnp
from jax.scipy.special import betaln, digamma

from fdl.distributions.distribution import (
    Distribution,
    check_vector,
    distribution,
    pair_of,
)

_NAMES = "alpha, beta", "BetaHead"


def beta() -> Distribution:
    """Beta distribution of independent numbers x in (0, 1), float [..., A].

    Parameters are a pair, α and β, each positive, float [..., A], such as the outputs
    of `models.BetaHead`. Unlike a normal distribution, it gives no weight to actions
    out of bounds. The mode is where the density is largest if both parameters are above
    one; elsewhere, where it may be infinite at an edge or two, it is the mean.

    Samples and values are kept 1e-6 away from the edges, at which a density may be
    infinite.

    Example:
      >>> params = jnp.array([2.0]), jnp.array([2.0])
      >>> beta().log_prob(params, jnp.array([0.5]))
      Array(0.4055, dtype=float32)

    References:
      Chou, Maturana and Scherer, `Improving Stochastic Policy Gradients in Continuous
      Control with Deep Reinforcement Learning using the Beta Distribution
      <https://proceedings.mlr.press/v70/chou17a.html>`_, 2017.
    """

    def sample(params, key):
        a, b = pair_of(params, *_NAMES)
        return _inside(jax.random.beta(key, a, b, dtype=a.dtype))

    def log_prob(params, x):
        a, b = pair_of(params, *_NAMES)
        check_vector(x, a.shape)
        x = _inside(x)
        log_probs = (a - 1) * jnp.log(x) + (b - 1) * jnp.log1p(-x) - betaln(a, b)
        return log_probs.sum(axis=-1)

    def entropy(params):
        a, b = pair_of(params, *_NAMES)
        terms = betaln(a, b) - (a - 1) * digamma(a) - (b - 1) * digamma(b)
        return (terms + (a + b - 2) * digamma(a + b)).sum(axis=-1)

    def mode(params):
        a, b = pair_of(params, *_NAMES)
        peaked = (a > 1) & (b > 1)
        return jnp.where(peaked, (a - 1) / jnp.where(peaked, a + b - 2, 1), a / (a + b))

    return distribution(sample, log_prob, entropy, mode)


def _inside(x):
    return jnp.clip(x, 1e-6, 1 - 1e-6)
