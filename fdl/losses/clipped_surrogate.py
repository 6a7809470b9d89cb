"""Clipped surrogate loss of PPO."""

import jax.numpy as jnp

from fdl.losses.arguments import check_pair
from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def clipped_surrogate(log_ratio: Array, advantage: Array, *, clip: float) -> Array:
    """Clipped surrogate loss of PPO, −min(r A, clip(r, 1 − ε, 1 + ε) A).

    r is the probability ratio of the current and the old policy. The gradient vanishes
    where the ratio has moved by more than ε in the direction favoured by the advantage.

    Args:
      log_ratio: Log-probability ratio, log π(a|s) − log π_old(a|s), float [...].
      advantage: Estimate A of the advantage of the action, float [...].
      clip: Clipping range ε; infinity gives the importance-weighted policy gradient.

    Returns:
      The loss of each action, float32 [...].

    Example:
      >>> clipped_surrogate(jnp.log(jnp.array([1.0, 2.0])), jnp.ones(2), clip=0.2)
      Array([-1. , -1.2], dtype=float32)

    References:
      Schulman et al., `Proximal Policy Optimization Algorithms
      <https://arxiv.org/abs/1707.06347>`_, 2017, equation 7.
    """
    check_pair("advantage", advantage, "log_ratio", log_ratio)
    log_ratio, advantage = at_least_float32(log_ratio), at_least_float32(advantage)
    bound = jnp.where(advantage < 0, 1 - clip, 1 + clip)
    ratio = jnp.exp(log_ratio)
    beyond = jnp.where(advantage < 0, ratio < bound, ratio > bound)
    # Replaced before the exponential: the gradient through a ratio of infinity that is
    # not selected is 0 · ∞ = NaN.
    ratio = jnp.exp(jnp.where(beyond, 0, log_ratio))
    return -jnp.where(beyond, bound, ratio) * advantage
