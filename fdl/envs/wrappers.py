"""Wrappers of environments: functions of an environment to another one.

Those that change what is observed, or what an action does, leave the environment
without its name: a policy of it would be none of gymnasium's environment of that name.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.envs.specs import box
from fdl.errors import UserError, check_positive
from fdl.types import Array, Env, Spec, State, Timestep


class TimeLimitState(NamedTuple):
    """State of an environment with a time limit.

    Attributes:
      env: State of the environment inside.
      time: Number of steps of the episode, int32 [].
    """

    env: State
    time: Array


class FrameStackState(NamedTuple):
    """State of an environment whose observations are stacked.

    Attributes:
      env: State of the environment inside.
      frames: Latest observations, oldest first, [..., F C].
    """

    env: State
    frames: Array


class StickyState(NamedTuple):
    """State of an environment with sticky actions.

    Attributes:
      env: State of the environment inside.
      action: Action of the step before, of the first step one that is never repeated.
      moved: False before the first step of an episode, bool [].
    """

    env: State
    action: Array
    moved: Array


def time_limit(env: Env, max_steps: int) -> Env:
    """Environment whose episodes are truncated after a number of steps.

    An episode that terminates in its last step is not truncated.

    Args:
      env: Environment; its own time limit stays.
      max_steps: Maximum number of steps of an episode.

    Raises:
      UserError: ``max_steps`` is below 1.
    """
    check_positive(max_steps=max_steps)

    def reset(key):
        state, observation = env.reset(key)
        return TimeLimitState(state, jnp.zeros((), jnp.int32)), observation

    def step(state, action, key):
        inner, timestep = env.step(state.env, action, key)
        time = state.time + 1
        over = (time >= max_steps) & ~timestep.terminated
        timestep = timestep._replace(truncated=timestep.truncated | over)
        return TimeLimitState(inner, time), timestep

    return env._replace(reset=reset, step=step)


def frame_stack(env: Env, num_frames: int) -> Env:
    """Environment that observes its latest observations, side by side in one array.

    They are concatenated along the last axis, which are the channels of an image. An
    episode begins with its first observation, repeated.

    Args:
      env: Environment, with observations [..., C].
      num_frames: Number of observations, F.

    Returns:
      Environment with observations [..., F C], the newest last.

    Raises:
      UserError: ``num_frames`` is below 1, or observations are discrete or have no
        axis.
    """
    check_positive(num_frames=num_frames)
    spec = env.observation
    if spec.num_values is not None or not spec.shape:
        raise UserError(
            f"env.observation {spec.dtype} {[*spec.shape]}: expected numbers along an "
            "axis, such as those of one_hot_observations"
        )
    low, high = (
        np.concatenate([np.broadcast_to(bound, spec.shape)] * num_frames, axis=-1)
        for bound in (spec.minimum, spec.maximum)
    )

    def reset(key):
        state, observation = env.reset(key)
        frames = jnp.concatenate([observation] * num_frames, axis=-1)
        return FrameStackState(state, frames), frames

    def step(state, action, key):
        inner, timestep = env.step(state.env, action, key)
        rest = state.frames[..., spec.shape[-1] :]
        frames = jnp.concatenate([rest, timestep.observation], axis=-1)
        timestep = timestep._replace(observation=frames)
        return FrameStackState(inner, frames), timestep

    stacked = box(low.shape, low, high, spec.dtype)
    return env._replace(reset=reset, step=step, observation=stacked, name="")


def clip_actions(env: Env) -> Env:
    """Environment that takes any continuous action, and clips it to its bounds.

    For policies without bounds, such as a Gaussian: the log-probability is that of the
    action before it is clipped, which is the one that a rollout keeps.

    Args:
      env: Environment with continuous actions.

    Raises:
      UserError: The actions are discrete.

    Example:
      >>> from fdl import envs
      >>> env = envs.gymnax("Pendulum-v1")
      >>> env.action.maximum, clip_actions(env).action.maximum
      (array([2.], dtype=float32), array([inf], dtype=float32))
    """
    bounds = _continuous(env)

    def step(state, action, key):
        clipped = jnp.clip(action, bounds.minimum, bounds.maximum)
        return env.step(state, clipped.astype(action.dtype), key)

    return env._replace(step=step, action=box(bounds.shape, dtype=bounds.dtype))


def scale_actions(env: Env) -> Env:
    """Environment that takes actions between -1 and 1, and scales them to its bounds.

    For policies whose actions lie there, such as a squashed Gaussian. Actions beyond
    are scaled alike, and end out of bounds.

    Args:
      env: Environment with continuous actions, whose bounds are finite.

    Raises:
      UserError: The actions are discrete, or not bounded.

    Example:
      >>> from fdl import envs
      >>> env = envs.gymnax("Pendulum-v1")
      >>> env.action.maximum, scale_actions(env).action.maximum
      (array([2.], dtype=float32), array([1.], dtype=float32))
    """
    bounds = _continuous(env)
    low, high = (np.asarray(bound) for bound in (bounds.minimum, bounds.maximum))
    for name, bound in (("minimum", low), ("maximum", high)):
        if not np.isfinite(bound).all():
            raise UserError(f"env.action.{name}={bound}: expected finite bounds")

    def step(state, action, key):
        scaled = (low + high) / 2 + action * (high - low) / 2
        return env.step(state, scaled.astype(action.dtype), key)

    scaled = box(bounds.shape, -1, 1, bounds.dtype)
    return env._replace(step=step, action=scaled, name="")


def map_rewards(env: Env, function: Callable[[Timestep], Array]) -> Env:
    """Environment whose rewards are a function of those of another one.

    Args:
      env: Environment.
      function: ``function(timestep)``, the reward of a step, float [].

    Example:
      One that pays for the end of an episode alone:

      >>> from fdl import envs
      >>> env = envs.gymnax("MountainCar-v0")
      >>> sparse = map_rewards(env, lambda timestep: jnp.float32(timestep.terminated))
      >>> state, _ = sparse.reset(jax.random.key(0))
      >>> sparse.step(state, jnp.array(1), jax.random.key(1))[1].reward
      Array(0., dtype=float32)
    """

    def step(state, action, key):
        state, timestep = env.step(state, action, key)
        return state, timestep._replace(reward=function(timestep))

    return env._replace(step=step)


def sticky_actions(env: Env, probability: float = 0.25) -> Env:
    """Environment that sometimes repeats the action before, instead of the new one.

    So that an agent has to react, and cannot replay what it has learnt by heart. An
    action that was repeated may be repeated again. The first one of an episode never
    is.

    Args:
      env: Environment.
      probability: Probability of a repetition.

    Raises:
      UserError: ``probability`` is none.

    References:
      Machado et al., `Revisiting the Arcade Learning Environment
      <https://arxiv.org/abs/1709.06009>`_, 2017.
    """
    if not 0 <= probability <= 1:
        raise UserError(f"probability={probability}: expected a probability")

    def reset(key):
        state, observation = env.reset(key)
        none = jnp.zeros(env.action.shape, env.action.dtype)
        return StickyState(state, none, jnp.zeros((), bool)), observation

    def step(state, action, key):
        stick_key, step_key = jax.random.split(key)
        stick = state.moved & jax.random.bernoulli(stick_key, probability)
        taken = jnp.where(stick, state.action, action).astype(state.action.dtype)
        inner, timestep = env.step(state.env, taken, step_key)
        return StickyState(inner, taken, jnp.ones((), bool)), timestep

    return env._replace(reset=reset, step=step, name="")


def one_hot_observations(env: Env) -> Env:
    """Environment that observes a discrete number as a one-hot vector, float32 [C].

    Args:
      env: Environment whose observations are a number, such as one of `from_mdp`.

    Raises:
      UserError: Observations are no such numbers.

    Example:
      >>> from fdl import envs
      >>> env = one_hot_observations(envs.from_mdp(envs.mdps.random_walk(3)))
      >>> env.reset(jax.random.key(0))[1]
      Array([0., 0., 1., 0., 0.], dtype=float32)
    """
    size = env.observation.num_values
    if not isinstance(size, int):
        raise UserError(f"env.observation.num_values={size}: expected one number")

    def reset(key):
        state, observation = env.reset(key)
        return state, jax.nn.one_hot(observation, size, dtype=jnp.float32)

    def step(state, action, key):
        state, timestep = env.step(state, action, key)
        vector = jax.nn.one_hot(timestep.observation, size, dtype=jnp.float32)
        return state, timestep._replace(observation=vector)

    vectors = box((size,), 0, 1)
    return env._replace(reset=reset, step=step, observation=vectors, name="")


def _continuous(env: Env) -> Spec:
    """Specification of the actions of an environment, which are continuous."""
    if env.action.num_values is not None:
        raise UserError(
            f"env.action.num_values={env.action.num_values}: expected continuous "
            "actions"
        )
    return env.action
