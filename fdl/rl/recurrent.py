"""Recurrent policies: their carry goes on from step to step of an episode."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fdl.distributions import Distribution, checked
from fdl.rl.policies import Policy
from fdl.types import Array, Key, Model, PyTree, Variables


class RecurrentPolicy(NamedTuple):
    """Policy with a carry, such as the state of an LSTM.

    Attributes:
      init: ``init(num_envs) -> carry``, the carry at the beginning of N episodes.
      step: ``step(variables, carry, observation, key) -> (carry, action)``, with a
        leading axis [N].
    """

    init: Callable[[int], PyTree]
    step: Callable[[Variables, PyTree, Array, Key], tuple[PyTree, Array]]


def recurrent_greedy(
    model: Model, distribution: Distribution, zero_carry: Callable[[int], PyTree]
) -> RecurrentPolicy:
    """Greedy policy of a recurrent actor-critic, for evaluation.

    Args:
      model: Recurrent actor-critic model; see `recurrent_on_policy`.
      distribution: Distribution of the actions.
      zero_carry: ``zero_carry(batch_size)``, that of the module.

    Raises:
      UserError: The distribution is none: a function that was not called, say.
    """
    distribution = checked(distribution)

    def step(variables, carry, observation, key):
        del key
        resets = jnp.zeros(len(observation), bool)
        params, _, carry = one_step(model, variables, observation, carry, resets)
        return carry, distribution.mode(params)

    return RecurrentPolicy(zero_carry, step)


def with_carry(policy: Policy | RecurrentPolicy) -> RecurrentPolicy:
    """Any policy as one with a carry, which is empty if it needs none."""
    if isinstance(policy, RecurrentPolicy):
        return policy

    def step(variables, carry, observation, key):
        return carry, policy(variables, observation, key)

    return RecurrentPolicy(lambda num_envs: (), step)


def one_step(
    model: Model, variables: Variables, observation: Array, carry: PyTree, resets: Array
) -> tuple[Any, Array, PyTree]:
    """Outputs of a recurrent actor-critic at one step of N environments.

    Args:
      model: Recurrent actor-critic model.
      variables: Variables of the model.
      observation: Observations, [N, ...].
      carry: Carry before the step.
      resets: True where an episode begins, bool [N].

    Returns:
      Parameters of the distribution [N, ...], values [N] and the carry after the step.
    """
    ((params, values), carry), _ = model.apply(
        variables, observation[:, None], carry, resets[:, None]
    )
    return jax.tree.map(lambda x: x.squeeze(1), params), values.squeeze(1), carry


def sequences(model: Model) -> Model:
    """Actor-critic of whole sequences, for the objective of a recurrent one.

    Its inputs are the ``observation`` of the batches of `recurrent_on_policy`: the
    observations [B, T, ...], the ``carry`` before the first of them and the ``resets``
    [B, T]. Its outputs are those of the model, without its carry.

    Args:
      model: Recurrent actor-critic model.
    """

    def apply(variables, inputs, **options):
        (outputs, _), model_state = model.apply(
            variables,
            inputs["observation"],
            inputs["carry"],
            inputs["resets"],
            **options,
        )
        return outputs, model_state

    return Model(model.init, apply)
