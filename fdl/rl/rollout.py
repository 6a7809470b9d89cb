"""Acting in a batch of environments."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.types import Array, Env, Key, Mean, Metrics, State


class Transition(NamedTuple):
    """What came of an action; ``next_observation`` is from before any reset."""

    observation: Array
    action: Array
    next_observation: Array
    reward: Array
    terminated: Array
    truncated: Array

    @property
    def ended(self) -> Array:
        """Whether this was the last one of its episode."""
        return self.terminated | self.truncated


def unroll(
    env: Env,
    policy: Callable[[Array, Key], Array],
    env_state: State,
    observation: Array,
    key: Key,
    num_steps: int,
) -> tuple[State, Array, Transition]:
    """Acts in N environments for some steps; begins a new episode where one ended.

    Args:
      env: What to act in.
      policy: ``policy(observation, key) -> action``, all with a leading axis [N].
      env_state: States of the environments, [N, ...].
      observation: What they look like, [N, ...].
      key: Of all that is left to chance.
      num_steps: How long, T.

    Returns:
      States and observations to go on from, and the transitions, [T, N, ...].
    """
    num_envs = len(observation)

    def step(carry, key):
        env_state, observation = carry
        act_key, step_key, reset_key = jax.random.split(key, 3)
        action = policy(observation, act_key)
        step_keys = jax.random.split(step_key, num_envs)
        env_state, timestep = jax.vmap(env.step)(env_state, action, step_keys)
        transition = Transition(observation, action, *timestep)
        fresh = jax.vmap(env.reset)(jax.random.split(reset_key, num_envs))
        carry = where(transition.ended, fresh, (env_state, timestep.observation))
        return carry, transition

    keys = jax.random.split(key, num_steps)
    carry, transitions = jax.lax.scan(step, (env_state, observation), keys)
    return *carry, transitions


class Episode(NamedTuple):
    """What is known of an episode before it ends: its return and length so far."""

    total: Array
    length: Array


def finished(episode: Episode, transitions: Transition) -> tuple[Episode, Metrics]:
    """Follows episodes through transitions [T, N], and watches those that end there.

    Args:
      episode: What was before, [N].
      transitions: What came then.

    Returns:
      What to go on with, and the mean ``episode_return`` and ``episode_length`` of
      all that ended, with their number as the weight.
    """

    def step(episode, inputs):
        reward, ended = inputs
        episode = Episode(episode.total + reward, episode.length + 1)
        nothing = jax.tree.map(jnp.zeros_like, episode)
        return where(ended, nothing, episode), where(ended, episode, nothing)

    inputs = transitions.reward, transitions.ended
    episode, complete = jax.lax.scan(step, episode, inputs)
    number = transitions.ended.sum(dtype=jnp.float32)
    return episode, {
        "episode_return": Mean(complete.total.sum(), number),
        "episode_length": Mean(complete.length.sum(dtype=jnp.float32), number),
    }


def where(condition: Array, x: State, y: State) -> State:
    """Takes rows of ``x`` where a condition [N] holds, else those of ``y``."""

    def choose(condition, x, y):
        return jax.tree.map(lambda x, y: jnp.where(condition, x, y), x, y)

    return jax.vmap(choose)(condition, x, y)
