"""Clipped surrogate loss of PPO."""

import jax.numpy as jnp

from fdl.losses.arguments import check_pair
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
      The loss of each action, float [...].

    Example:
      >>> clipped_surrogate(jnp.log(jnp.array([1.0, 2.0])), jnp.ones(2), clip=0.2)
      Array([-1. , -1.2], dtype=float32)

    References:
      Schulman et al., `Proximal Policy Optimization Algorithms
      <https://arxiv.org/abs/1707.06347>`_, 2017, equation 7.
    """
    check_pair("advantage", advantage, "log_ratio", log_ratio)

    ratio = jnp.exp(log_ratio)
    clipped = jnp.clip(ratio, 1 - clip, 1 + clip)
    # The minimum is a lower bound of the objective: clipping never hides that the ratio
    # has moved in the direction that makes it worse.
    return -jnp.minimum(ratio * advantage, clipped * advantage)
