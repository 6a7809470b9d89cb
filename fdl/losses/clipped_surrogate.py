"""Losses for policies."""

import chex
import jax.numpy as jnp

from fdl.types import Array


def clipped_surrogate(log_ratio: Array, advantage: Array, *, clip: float) -> Array:
    """How little a policy makes of the advantages, without going far from another.

    ``-min(r A, clip(r, 1 - ε, 1 + ε) A)`` for a ratio of probabilities ``r``: nothing
    is gained by moving the ratio further than ``ε`` in the direction that pays.

    Args:
      log_ratio: ``log π(a|s) - log π_old(a|s)``, float [...].
      advantage: How much better the action was than the policy, float [...].
      clip: ``ε``; infinity gives the plain importance-weighted policy gradient.

    Returns:
      The loss of each example, float [...].

    Example:
      >>> clipped_surrogate(jnp.log(jnp.array([1.0, 2.0])), jnp.ones(2), clip=0.2)
      Array([-1. , -1.2], dtype=float32)

    References:
      Schulman et al., `Proximal Policy Optimization Algorithms
      <https://arxiv.org/abs/1707.06347>`_, 2017, equation 7.
    """
    chex.assert_type([log_ratio, advantage], float)
    chex.assert_equal_shape([log_ratio, advantage])

    ratio = jnp.exp(log_ratio)
    clipped = jnp.clip(ratio, 1 - clip, 1 + clip)
    return -jnp.minimum(ratio * advantage, clipped * advantage)
