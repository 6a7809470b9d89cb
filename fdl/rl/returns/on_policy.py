"""Returns of the policy that acted: Monte Carlo, n-step and λ-returns."""

import jax
import jax.numpy as jnp

from fdl.errors import check_positive
from fdl.rl.returns.recursion import accumulate, check, shifted
from fdl.types import Array


def discounted_returns(
    reward: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    *,
    discount: float,
) -> Array:
    """Discounted returns, ``G_t = r_t + γ G_{t+1}``: Monte Carlo estimates of values.

    Args:
      reward: Rewards, float [T, ...].
      next_value: Values of the next observations, before any reset, float [T, ...];
        zeros for returns of what was seen only.
      terminated: True where the episode reached a terminal state, bool [T, ...].
      truncated: True where the episode was cut off, by a time limit say, bool [T, ...].
      discount: ``γ``, the discount factor.

    Returns:
      Returns, float [T, ...].

    Example:
      >>> no, zero = jnp.zeros(3, bool), jnp.zeros(3)
      >>> terminated = jnp.array([False, True, False])
      >>> discounted_returns(jnp.ones(3), zero, terminated, no, discount=0.5)
      Array([1.5, 1. , 1. ], dtype=float32)
    """
    return lambda_returns(
        reward, next_value, terminated, truncated, discount=discount, lambda_=1.0
    )


def lambda_returns(
    reward: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    *,
    discount: float,
    lambda_: float,
) -> Array:
    """λ-returns, ``G_t = r_t + γ ((1 - λ) v(s_{t+1}) + λ G_{t+1})``.

    They are means of n-step returns, with weights in proportion to ``λⁿ``.

    Args:
      reward: Rewards, float [T, ...].
      next_value: Values of the next observations, before any reset, float [T, ...].
      terminated: True where the episode reached a terminal state, bool [T, ...].
      truncated: True where the episode was cut off, by a time limit say, bool [T, ...].
      discount: ``γ``, the discount factor.
      lambda_: ``λ``; zero gives one-step returns, and one discounted returns.

    Returns:
      Returns, float [T, ...].

    References:
      Sutton and Barto, `Reinforcement Learning: An Introduction
      <http://incompleteideas.net/book/the-book-2nd.html>`_, 2018, section 12.1.
    """
    check([reward, next_value], terminated, truncated)
    next_value = jnp.where(terminated, 0, next_value)
    mixed = jnp.where(terminated | truncated, 0, lambda_)
    x = reward + discount * (1 - mixed) * next_value
    return accumulate(x, discount * mixed, next_value[-1])


def n_step_returns(
    reward: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    *,
    discount: float,
    num_steps: int,
) -> Array:
    """n-step returns, ``r_t + γ r_{t+1} + ... + γⁿ v(s_{t+n})``.

    Of fewer steps where the episode or the rollout ends before.

    Args:
      reward: Rewards, float [T, ...].
      next_value: Values of the next observations, before any reset, float [T, ...].
      terminated: True where the episode reached a terminal state, bool [T, ...].
      truncated: True where the episode was cut off, by a time limit say, bool [T, ...].
      discount: ``γ``, the discount factor.
      num_steps: n, at least 1.

    Returns:
      Returns, float [T, ...].

    Raises:
      UserError: The number of steps is below 1.

    References:
      Sutton and Barto, `Reinforcement Learning: An Introduction
      <http://incompleteideas.net/book/the-book-2nd.html>`_, 2018, section 7.1.
    """
    check_positive(num_steps=num_steps)
    check([reward, next_value], terminated, truncated)
    next_value = jnp.where(terminated, 0, next_value)
    ended = terminated | truncated

    def add_step(_, returns):
        following = shifted(returns, next_value[-1])
        return reward + discount * jnp.where(ended, next_value, following)

    one_step = reward + discount * next_value
    return jax.lax.fori_loop(1, num_steps, add_step, one_step)
