"""Bernoulli distribution of independent bits."""

import jax
import jax.numpy as jnp

from fdl.distributions.distribution import (
    Distribution,
    array_of,
    check_vector,
    distribution,
)


def bernoulli() -> Distribution:
    """Bernoulli distribution of independent bits x, int32 [..., A], zeros and ones.

    Parameters are logits of a one, float [..., A]. The log-probability of what is no
    bit is NaN.

    Example:
      >>> bernoulli().log_prob(jnp.zeros(3), jnp.array([0, 1, 1]))
      Array(-2.0794, dtype=float32)
    """

    def sample(logits, key):
        logits = array_of(logits)
        noise = jax.random.logistic(key, logits.shape, logits.dtype)
        return (noise < logits).astype(jnp.int32)

    def log_prob(logits, x):
        logits = array_of(logits)
        check_vector(x, logits.shape)
        signed = jnp.where(x == 1, logits, -logits)
        log_probs = jnp.where((x == 0) | (x == 1), jax.nn.log_sigmoid(signed), jnp.nan)
        return log_probs.sum(axis=-1)

    def entropy(logits):
        logits = array_of(logits)
        # By the limit p log p → 0: a logit of infinity would make 0 · ∞ = NaN.
        finite = jnp.where(jnp.isinf(logits), 0, logits)
        bits = jax.nn.softplus(finite) - finite * jax.nn.sigmoid(finite)
        return jnp.where(jnp.isinf(logits), 0, bits).sum(axis=-1)

    def mode(logits):
        return (array_of(logits) > 0).astype(jnp.int32)

    return distribution(sample, log_prob, entropy, mode)
