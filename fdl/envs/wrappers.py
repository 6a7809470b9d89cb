"""Wrappers of environments: functions of an environment to another one."""

import jax.numpy as jnp

from fdl.envs.specs import box
from fdl.errors import UserError
from fdl.types import Env


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
    bounds = env.action
    if bounds.num_values is not None:
        raise UserError(
            f"env.action.num_values={bounds.num_values}: expected continuous actions"
        )

    def step(state, action, key):
        clipped = jnp.clip(action, bounds.minimum, bounds.maximum)
        return env.step(state, clipped.astype(action.dtype), key)

    return env._replace(step=step, action=box(bounds.shape, dtype=bounds.dtype))
