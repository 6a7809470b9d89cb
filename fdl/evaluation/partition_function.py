"""Annealed importance sampling of the partition function of an RBM."""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from fdl.errors import check_positive
from fdl.types import Array, Key, Params


class LogPartition(NamedTuple):
    """Estimate of the logarithm of a partition function Z.

    Attributes:
      estimate: Logarithm of the mean of Z over the chains, float [].
      standard_error: Standard error of the mean of Z, relative to it, float []: that of
        the estimate, where it is small. It knows nothing of modes that no chain found.
      effective_samples: Effective number of chains, (Σ w)² / Σ w², float [].
    """

    estimate: Array
    standard_error: Array
    effective_samples: Array


def annealed_importance_sampling(
    params: Params,
    key: Key,
    *,
    visible_mean: Array | None = None,
    num_chains: int = 100,
    num_steps: int = 1000,
) -> LogPartition:
    """Annealed importance sampling (AIS) of the partition function of a `models.RBM`.

    Chains go from an RBM without weights, whose Z₀ is known, to the given one, along
    p_β(v) ∝ exp((1 − β) a·v + β b·v) Π_j (1 + exp(β (c + v W)_j)) for β from 0 to 1.
    At each β, a chain's weight is multiplied by the ratio of the next density to this
    one, and a step of Gibbs sampling follows. The mean weight is Z / Z₀ without bias.

    Args:
      params: ``kernel`` W, ``visible_bias`` b and ``hidden_bias`` c of the RBM.
      key: Key of the chains.
      visible_mean: Means of the visible units in the training data, float [V], for the
        biases a of the first RBM. Default: ½.
      num_chains: Number of chains.
      num_steps: Number of values of β, evenly spaced.

    Returns:
      The estimate with its error; log Z is most likely too small where chains do not
      mix, as the mean of Z is dominated by few of them.

    Raises:
      UserError: A number is not positive.

    Example:
      >>> zeros = {"kernel": jnp.zeros((4, 3)), "visible_bias": jnp.zeros(4)}
      >>> params = {**zeros, "hidden_bias": jnp.zeros(3)}
      >>> annealed_importance_sampling(params, jax.random.key(0)).estimate / jnp.log(2)
      Array(7., dtype=float32)

    References:
      Neal, `Annealed Importance Sampling <https://arxiv.org/abs/physics/9803008>`_,
      1998; Salakhutdinov and Murray, `On the Quantitative Analysis of Deep Belief
      Networks <https://doi.org/10.1145/1390156.1390266>`_, 2008.
    """
    check_positive(num_chains=num_chains, num_steps=num_steps)
    kernel, bias, hidden_bias = (
        params[name] for name in ("kernel", "visible_bias", "hidden_bias")
    )
    mean = jnp.full(bias.shape, 0.5) if visible_mean is None else visible_mean
    # Units that are always or never on would have infinite biases.
    mean = jnp.clip(mean, 0.01, 0.99)
    first_bias = jnp.log(mean) - jnp.log1p(-mean)

    def log_density(visible, beta):
        linear = visible @ ((1 - beta) * first_bias + beta * bias)
        hidden = beta * (visible @ kernel + hidden_bias[None])
        return linear + nn.softplus(hidden).sum(axis=-1)

    def step(carry, inputs):
        (visible, log_weights), (index, step_key) = carry, inputs
        beta, next_beta = index / num_steps, (index + 1) / num_steps
        log_weights += log_density(visible, next_beta) - log_density(visible, beta)
        hidden_key, visible_key = jax.random.split(step_key)
        hidden = _draw(hidden_key, next_beta * (visible @ kernel + hidden_bias[None]))
        own = (1 - next_beta) * first_bias + next_beta * bias
        logits = next_beta * (hidden @ kernel.T) + own[None]
        return (_draw(visible_key, logits), log_weights), None

    start_key, key = jax.random.split(key)
    start = jnp.broadcast_to(first_bias[None], (num_chains, len(bias)))
    carry = _draw(start_key, start), jnp.zeros(num_chains)
    steps = jnp.arange(num_steps, dtype=jnp.float32), jax.random.split(key, num_steps)
    (_, log_weights), _ = jax.lax.scan(step, carry, steps)
    log_first = len(hidden_bias) * math.log(2) + nn.softplus(first_bias).sum()
    return _estimate(log_first, log_weights)


def _estimate(log_first: Array, log_weights: Array) -> LogPartition:
    """Logarithm of the mean weight times Z₀, with its error."""
    count = len(log_weights)
    log_mean = logsumexp(log_weights) - math.log(count)
    relative = jnp.exp(log_weights - log_mean)  # Of mean 1.
    error = relative.std(ddof=1) / math.sqrt(count) if count > 1 else jnp.nan
    effective = count**2 / jnp.square(relative).sum()
    return LogPartition(log_first + log_mean, jnp.asarray(error), effective)


def _draw(key: Key, logits: Array) -> Array:
    """Bernoulli states, float, 0 or 1."""
    return jax.random.bernoulli(key, nn.sigmoid(logits)).astype(logits.dtype)
