"""Multi-armed bandits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.envs.specs import discrete
from fdl.types import Array, Env, Timestep


class BanditState(NamedTuple):
    """State of a bandit, which its plays do not change.

    Attributes:
      means: Mean reward of each arm, float [A].
    """

    means: Array


def bandit(num_arms: int = 10, *, mean: float = 0.0) -> Env:
    """Bandit with Gaussian rewards: the ten-armed testbed of Sutton and Barto.

    A reset draws the mean rewards of the arms from a normal distribution of variance
    one, and each play adds noise of variance one. There is nothing to observe but 0,
    and no end: `time_limit` makes episodes of it.

    Args:
      num_arms: Number of arms, A.
      mean: Mean of the mean rewards.

    References:
      Sutton and Barto, `Reinforcement Learning: An Introduction
      <http://incompleteideas.net/book/the-book-2nd.html>`_, 2018, section 2.3.
    """
    nothing = jnp.int32(0)

    def reset(key):
        return BanditState(mean + jax.random.normal(key, (num_arms,))), nothing

    def step(state, action, key):
        reward = state.means[action] + jax.random.normal(key)
        never = jnp.zeros((), bool)
        return state, Timestep(nothing, reward, never, never)

    return Env(reset, step, discrete(1), discrete(num_arms))
