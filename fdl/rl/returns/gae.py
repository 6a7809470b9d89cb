"""Generalised advantage estimation."""

import jax.numpy as jnp

from fdl.rl.returns.recursion import accumulate, check
from fdl.types import Array


def gae(
    reward: Array,
    value: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    *,
    discount: float,
    lambda_: float,
) -> Array:
    """Generalised advantage estimation (GAE).

    ``A_t = δ_t + γλ A_{t+1}`` with ``δ_t = r_t + γ v(s_{t+1}) - v(s_t)``. In the last
    step of an episode, ``A_{t+1}`` is zero, since it belongs to another episode; if the
    episode terminated, rather than being truncated, so is ``v(s_{t+1})``.

    Args:
      reward: Rewards, float [T, ...].
      value: Values of the observations, float [T, ...].
      next_value: Values of the next observations, before any reset, float [T, ...].
      terminated: True where the episode reached a terminal state, bool [T, ...].
      truncated: True where the episode was cut off, by a time limit say, bool [T, ...].
      discount: ``γ``, the discount factor.
      lambda_: ``λ``; zero is the TD error (low variance), one the Monte Carlo return
        minus the value (low bias).

    Returns:
      Advantages, float [T, ...]. Added to the values, they are λ-returns.

    References:
      Schulman et al., `High-Dimensional Continuous Control Using Generalized Advantage
      Estimation <https://arxiv.org/abs/1506.02438>`_, 2015.

      Pardo et al., `Time Limits in Reinforcement Learning
      <https://arxiv.org/abs/1712.00378>`_, 2017.
    """
    check([reward, value, next_value], terminated, truncated)
    delta = reward + discount * jnp.where(terminated, 0, next_value) - value
    decay = jnp.where(terminated | truncated, 0, discount * lambda_)
    # A rollout may stop in the middle of an episode: A_T is zero, and the rest of its
    # return is bootstrapped from the value in δ_{T-1}.
    return accumulate(delta, decay)
