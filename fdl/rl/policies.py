"""Policies: functions of an observation to an action."""

from collections.abc import Callable

from fdl.distributions import Distribution
from fdl.types import Array, Key, Model, Variables

# `policy(variables, observations, key) -> actions`, with a leading axis [N].
Policy = Callable[[Variables, Array, Key], Array]


def sampling(model: Model, distribution: Distribution) -> Policy:
    """Stochastic policy, which samples actions: for exploration.

    Args:
      model: Actor-critic model, of observations to the parameters of the distribution
        and values.
      distribution: Distribution of the actions.
    """

    def policy(variables, observation, key):
        (params, _), _ = model.apply(variables, observation)
        return distribution.sample(params, key)

    return policy


def greedy(model: Model, distribution: Distribution) -> Policy:
    """Greedy policy, which takes the most probable action: for evaluation.

    Args:
      model: Actor-critic model, of observations to the parameters of the distribution
        and values.
      distribution: Distribution of the actions.
    """

    def policy(variables, observation, key):
        del key
        (params, _), _ = model.apply(variables, observation)
        return distribution.mode(params)

    return policy
