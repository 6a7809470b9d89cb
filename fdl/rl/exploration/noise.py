"""Exploration: policies that try other actions than the best one."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from fdl.errors import UserError, check_probability
from fdl.rl.policies import Policy
from fdl.types import Array, Key, Model, Spec, Variables

# `explore(num_steps) -> policy` of the number of environment steps so far, int32 [].
Exploration = Callable[[Array], Policy]


def epsilon_greedy(model: Model, epsilon: float | Array) -> Policy:
    """ε-greedy policy: a random action with probability ε, else that of highest value.

    Args:
      model: Q-network, of observations to values, float [N, A].
      epsilon: Probability ε of an action that is uniformly random, float [].

    Raises:
      UserError: ε is outside [0, 1]; when it acts: the outputs of the model are no such
        values.

    Example:
      With a schedule, for `off_policy`:

      >>> import optax
      >>> from fdl import models, rl
      >>> model = models.functional(models.QNetwork(2))
      >>> epsilon = optax.linear_schedule(1.0, 0.05, transition_steps=10_000)
      >>> explore = lambda num_steps: rl.epsilon_greedy(model, epsilon(num_steps))
    """
    check_probability(epsilon=epsilon)

    def policy(variables, observation, key):
        values = _values(model, variables, observation)
        random_key, action_key = jax.random.split(key)
        num_envs, num_actions = values.shape
        random = jax.random.randint(action_key, (num_envs,), 0, num_actions)
        explores = jax.random.uniform(random_key, (num_envs,)) < epsilon
        return jnp.where(explores, random, values.argmax(axis=-1))

    return policy


def noisy(model: Model) -> Policy:
    """Policy of the action of highest value in a noisy network: no other exploration.

    Args:
      model: Q-network with noise, of observations to values, float [N, A], such as
        ``QNetwork(noisy=True)``; each observation has noise of its own.

    Raises:
      UserError: The network has no noise; when it acts: the outputs of the model are no
        such values.

    References:
      Fortunato et al., `Noisy Networks for Exploration
      <https://arxiv.org/abs/1706.10295>`_, 2017.
    """
    if not getattr(model.module, "noisy", True):
        raise UserError("model.module.noisy=False: expected a network with noise")

    def policy(variables, observation, key):
        def act(observation, key):
            return _values(model, variables, observation[None], key=key)[0].argmax()

        return jax.vmap(act)(observation, jax.random.split(key, len(observation)))

    return policy


def _values(
    model: Model, variables: Variables, observation: Array, **options: Key
) -> Array:
    """Values of all actions, float [N, A]."""
    values, _ = model.apply(variables, observation, **options)
    if values.ndim != 2:
        raise UserError(
            f"values {[*values.shape]}: expected [N, A]; rl.map_outputs makes a model "
            "of the means of quantiles"
        )
    return values


def gaussian_noise(policy: Policy, action: Spec, std: float | Array) -> Policy:
    """Policy with Gaussian noise on its actions, clipped to their bounds.

    Args:
      policy: Policy of continuous actions.
      action: Specification of an action, ``env.action``.
      std: Standard deviation of the noise, relative to half the range of an action;
        absolute for one without bounds.

    Raises:
      UserError: The actions are discrete.

    References:
      Fujimoto, van Hoof and Meger, `Addressing Function Approximation Error in
      Actor-Critic Methods <https://arxiv.org/abs/1802.09477>`_, 2018.
    """
    if action.num_values is not None:
        raise UserError(
            f"action.num_values={action.num_values}: expected continuous actions"
        )
    half = (action.maximum - action.minimum) / 2
    # With an axis of environments, as axes are not added without a word.
    scale = jnp.where(jnp.isfinite(half), half, 1.0)[None]
    low, high = action.minimum[None], action.maximum[None]

    def noisy(variables, observation, key):
        policy_key, noise_key = jax.random.split(key)
        mean = policy(variables, observation, policy_key)
        noise = scale * std * jax.random.normal(noise_key, mean.shape, mean.dtype)
        return jnp.clip(mean + noise, low, high)

    return noisy


def random_actions(action: Spec, num_envs: int, key: Key) -> Array:
    """Uniformly random actions, [N, ...].

    Args:
      action: Specification of an action, ``env.action``.
      num_envs: Number of environments, N.
      key: Key of the actions.

    Raises:
      UserError: The actions have no bounds.
    """
    shape = num_envs, *action.shape
    if action.num_values is not None:
        sizes = jnp.broadcast_to(jnp.asarray(action.num_values), shape)
        return jax.random.randint(key, shape, 0, sizes).astype(action.dtype)
    low, high = action.minimum, action.maximum
    if not all(map(math.isfinite, [*low.flat, *high.flat])):
        raise UserError("env.action has no bounds: expected some, to act at random")
    share = jax.random.uniform(key, shape, action.dtype)
    return low[None] + share * (high - low)[None]
