"""Rollouts in a batch of environments."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.envs.specs import expect
from fdl.errors import UserError
from fdl.types import Array, Env, Key, State, Timestep


class Transition(NamedTuple):
    """Transition of an environment, or a batch of them.

    Attributes:
      observation: Observation that the action was taken at, [...].
      action: Action, [...].
      next_observation: Observation after the action, before any reset, [...].
      reward: Reward of the action, float [...].
      terminated: True where it reached a terminal state, bool [...].
      truncated: True where the episode was cut off after it, bool [...].
    """

    observation: Array
    action: Array
    next_observation: Array
    reward: Array
    terminated: Array
    truncated: Array

    @property
    def ended(self) -> Array:
        """True in the last transition of an episode, bool [...]."""
        return self.terminated | self.truncated


def unroll(
    env: Env,
    policy: Callable[[Array, Key], Array],
    env_state: State,
    observation: Array,
    key: Key,
    num_steps: int,
) -> tuple[State, Array, Transition]:
    """Rollout of a policy in N environments, with a reset after each episode.

    Args:
      env: Environment.
      policy: ``policy(observation, key) -> action``, with a leading axis [N].
      env_state: States of the environments, [N, ...].
      observation: Current observations of the environments, [N, ...].
      key: Key of actions, transitions and resets.
      num_steps: Number of steps, T.

    Returns:
      Final states and observations, [N, ...], and the transitions, [T, N, ...].

    Raises:
      UserError: Observations or actions are not as the environment specifies them.
    """

    def step(carry, keys):
        env_state, observation = carry
        act_key, step_key, reset_keys = keys
        action = policy(observation, act_key)
        return step_and_reset(env, env_state, observation, action, step_key, reset_keys)

    # Split at once: in the scan it would be a loop of tiny programs in each step.
    def split(keys, num):
        return jax.vmap(lambda key: jax.random.split(key, num))(keys)

    act_keys, step_keys, reset_keys = split(jax.random.split(key, num_steps), 3).T
    keys = (act_keys, step_keys, split(reset_keys, len(observation)))
    carry, transitions = jax.lax.scan(step, (env_state, observation), keys)
    return *carry, transitions


def step_and_reset(
    env: Env,
    env_state: State,
    observation: Array,
    action: Array,
    step_key: Key,
    reset_keys: Key,
) -> tuple[tuple[State, Array], Transition]:
    """Step of N environments, with a reset of those whose episode ends.

    Args:
      env: Environment.
      env_state: States of the environments, [N, ...].
      observation: Current observations of the environments, [N, ...].
      action: Actions, [N, ...].
      step_key: Key of the transitions.
      reset_keys: Keys of the resets, [N].

    Returns:
      States and observations to go on from, [N, ...], and the transitions, [N, ...].

    Raises:
      UserError: Observations or actions are not as the environment specifies them.
    """
    env_state, timestep = step_all(env, env_state, action, step_key)
    transition = Transition(observation, action, *timestep)
    # All environments are reset in each step, and most resets discarded: under vmap a
    # condition would compute both branches anyway.
    fresh = jax.vmap(env.reset)(reset_keys)
    carry = where(transition.ended, fresh, (env_state, timestep.observation))
    return carry, transition


def reset_all(env: Env, key: Key, num_envs: int) -> tuple[State, Array]:
    """States and observations of N environments that are just reset, [N, ...].

    Args:
      env: Environment.
      key: Key of the resets.
      num_envs: Number of environments, N.

    Raises:
      UserError: Observations are not as the environment specifies them.
    """
    env_state, observation = jax.vmap(env.reset)(jax.random.split(key, num_envs))
    expect("observation", observation, env.observation)
    return env_state, observation


def step_all(
    env: Env, env_state: State, action: Array, key: Key
) -> tuple[State, Timestep]:
    """Step of N environments, without resets.

    Args:
      env: Environment.
      env_state: States of the environments, [N, ...].
      action: Actions, [N, ...].
      key: Key of the transitions.

    Returns:
      Next states and timesteps, [N, ...].

    Raises:
      UserError: Observations or actions are not as the environment specifies them.
    """
    expect("action", action, env.action)
    keys = jax.random.split(key, len(action))
    env_state, timestep = jax.vmap(env.step)(env_state, action, keys)
    expect("observation", timestep.observation, env.observation)
    for name, kind in (
        ("reward", jnp.floating),
        ("terminated", jnp.bool_),
        ("truncated", jnp.bool_),
    ):
        x = jnp.asarray(getattr(timestep, name))
        if x.shape != (len(action),) or not jnp.issubdtype(x.dtype, kind):
            expected = "float" if kind is jnp.floating else "bool"
            raise UserError(
                f"{name} {x.dtype} {['N', *x.shape[1:]]} of env.step: expected "
                f"{expected} ['N']".replace("'", "")
            )
    return env_state, timestep


def where(condition: Array, x: State, y: State) -> State:
    """Selection of rows of two trees by a condition.

    Args:
      condition: Condition, bool [N].
      x: Tree of arrays [N, ...], selected where the condition holds.
      y: Tree of arrays [N, ...], selected elsewhere.
    """

    # Under vmap the condition is a scalar, which broadcasts to leaves of any rank.
    def choose(condition, x, y):
        return jax.tree.map(lambda x, y: jnp.where(condition, x, y), x, y)

    return jax.vmap(choose)(condition, x, y)
