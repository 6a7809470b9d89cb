"""Policies: what to do about an observation."""

from collections.abc import Callable

from fdl.distributions import Distribution
from fdl.types import Array, Key, Model, Variables

# `policy(variables, observations, key) -> actions`, with a leading axis [N].
Policy = Callable[[Variables, Array, Key], Array]


def sampling(model: Model, distribution: Distribution) -> Policy:
    """Draws actions from a distribution: the policy to explore with.

    Args:
      model: Returns the parameters of the distribution, and values.
      distribution: Of the actions.
    """

    def policy(variables, observation, key):
        (params, _), _ = model.apply(variables, observation)
        return distribution.sample(params, key)

    return policy


def greedy(model: Model, distribution: Distribution) -> Policy:
    """Takes the most probable actions: the policy to be judged by.

    Args:
      model: Returns the parameters of the distribution, and values.
      distribution: Of the actions.
    """

    def policy(variables, observation, key):
        del key  # Nothing is left to chance.
        (params, _), _ = model.apply(variables, observation)
        return distribution.mode(params)

    return policy
