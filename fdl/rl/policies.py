"""Policies: functions of an observation to an action."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fdl.distributions import Distribution, checked, mask_logits
from fdl.errors import UserError
from fdl.types import Array, Key, Model, Variables

# `policy(variables, observations, key) -> actions`, with a leading axis [N].
Policy = Callable[[Variables, Array, Key], Array]


def sampling(model: Model, distribution: Distribution) -> Policy:
    """Stochastic policy, which samples actions: for exploration.

    Args:
      model: Model of observations to the parameters of the distribution: `actor` of an
        actor-critic, or a policy network.
      distribution: Distribution of the actions. With `categorical`, the values of a
        Q-network are the logits of a Boltzmann policy.

    Raises:
      UserError: The distribution is none: a function that was not called, say.
    """
    distribution = checked(distribution)

    def policy(variables, observation, key):
        params, _ = model.apply(variables, observation)
        return distribution.sample(params, key)

    return policy


def greedy(model: Model, distribution: Distribution) -> Policy:
    """Greedy policy, which takes the most probable action: for evaluation.

    Args:
      model: Model of observations to the parameters of the distribution: `actor` of an
        actor-critic, a policy network, or a Q-network.
      distribution: Distribution of the actions. With `categorical`, the action of a
        Q-network is the one of the highest value.

    Raises:
      UserError: The distribution is none: a function that was not called, say.
    """
    distribution = checked(distribution)

    def policy(variables, observation, key):
        del key
        params, _ = model.apply(variables, observation)
        return distribution.mode(params)

    return policy


def deterministic(model: Model) -> Policy:
    """Deterministic policy, such as the actor of DDPG or TD3.

    Args:
      model: Model of observations to actions, such as `models.Actor` with a
        `models.DeterministicHead`; see `gaussian_noise` for its exploration.
    """

    def policy(variables, observation, key):
        del key
        action, _ = model.apply(variables, observation)
        return action

    return policy


def action_probabilities(model: Model) -> Callable[[Variables, Array], Array]:
    """Function of variables and observations to the probabilities of discrete actions.

    Args:
      model: Model of observations to logits, float [N, A], such as an `actor`.
    """

    def probabilities(variables, observation):
        logits, _ = model.apply(variables, observation)
        return jax.nn.softmax(logits.astype(jnp.float32), axis=-1)

    return probabilities


def actor(model: Model) -> Model:
    """Actor of an actor-critic: the model of its policy's parameters, without values.

    Args:
      model: Actor-critic model, of observations to the parameters of a distribution and
        values.

    Raises:
      UserError: When it is applied: the outputs of the model are no such pair.
    """

    def first(outputs):
        if not isinstance(outputs, tuple) or len(outputs) != 2:
            raise UserError(
                f"the model returns a {type(outputs).__name__}: expected a pair, "
                "(params, values), as of an actor-critic"
            )
        return outputs[0]

    return map_outputs(model, first)


def map_outputs(model: Model, function: Callable[[Any], Any]) -> Model:
    """Model whose outputs are a function of those of another one.

    Args:
      model: Model.
      function: ``function(outputs) -> outputs``.

    Example:
      The values of a Q-network with an axis of quantiles, [B, A, Q]:

      >>> from fdl import distributions, models, rl
      >>> model = models.functional(models.QNetwork(2, num_atoms=5))
      >>> values = rl.map_outputs(model, lambda quantiles: quantiles.mean(axis=-1))
      >>> policy = rl.greedy(values, distributions.categorical())
    """

    def apply(variables, *inputs, **options):
        outputs, model_state = model.apply(variables, *inputs, **options)
        return function(outputs), model_state

    return Model(model.init, apply)


def mask_actions(model: Model, valid: Callable[[Array], Array]) -> Model:
    """Model whose policy never takes an action that is invalid at an observation.

    Args:
      model: Model of observations to logits, float [B, A], or an actor-critic.
      valid: ``valid(observation)``, True for the actions that may be taken, bool
        [B, A].

    Example:
      Actions whose legality the observation says, in its last elements:

      >>> from fdl import models, rl
      >>> model = models.functional(models.ActorCritic(2, input_shape=(6,)))
      >>> model = rl.mask_actions(model, lambda observation: observation[:, 4:] > 0)
    """

    def apply(variables, observation, *inputs, **options):
        outputs, model_state = model.apply(variables, observation, *inputs, **options)
        legal = valid(observation)
        if isinstance(outputs, tuple):
            logits, *rest = outputs
            return (mask_logits(logits, legal), *rest), model_state
        return mask_logits(outputs, legal), model_state

    return Model(model.init, apply)
