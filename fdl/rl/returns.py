"""What an action was worth, judged by what followed it."""

import chex
import jax
import jax.numpy as jnp

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
    """Generalised advantage estimates.

    ``A_t = δ_t + γλ A_{t+1}`` with ``δ_t = r_t + γ v(s_{t+1}) - v(s_t)``. Where an
    episode terminated, ``v(s_{t+1})`` is zero; where it ended at all, so is
    ``A_{t+1}``, which belongs to another episode.

    Args:
      reward: Rewards, float [T, ...].
      value: Values of the observations, float [T, ...].
      next_value: Values of the next ones, from before any reset, float [T, ...].
      terminated: Whether the episode has no future, bool [T, ...].
      truncated: Whether the episode was cut, bool [T, ...].
      discount: ``γ``, what a reward loses in value with each step.
      lambda_: Zero trusts the values, one the rewards.

    Returns:
      Advantages, float [T, ...]. Added to the values, they are λ-returns.

    References:
      Schulman et al., `High-Dimensional Continuous Control Using Generalized Advantage
      Estimation <https://arxiv.org/abs/1506.02438>`_, 2015.

      Pardo et al., `Time Limits in Reinforcement Learning
      <https://arxiv.org/abs/1712.00378>`_, 2017.
    """
    chex.assert_type([reward, value, next_value], float)
    chex.assert_type([terminated, truncated], bool)
    chex.assert_equal_shape([reward, value, next_value, terminated, truncated])

    delta = reward + discount * jnp.where(terminated, 0, next_value) - value
    decay = jnp.where(terminated | truncated, 0, discount * lambda_)

    def accumulate(advantage, inputs):
        delta, decay = inputs
        advantage = delta + decay * advantage
        return advantage, advantage

    zero = jnp.zeros_like(delta[0])
    _, advantages = jax.lax.scan(accumulate, zero, (delta, decay), reverse=True)
    return advantages
