"""Environments of gymnax: written in JAX, so they run where the learner runs."""

from typing import Any

import jax
import jax.numpy as jnp

from fdl.errors import UserError, near
from fdl.types import Env, PyTree, Timestep

FOREVER = 2**30  # Steps; no episode gets there, and counting to it does not overflow.


def gymnax(name: str, **params: Any) -> Env:
    """An environment of gymnax, such as ``"CartPole-v1"``.

    Its time limit truncates, and everything else that ends an episode terminates it,
    in all versions of gymnax: those before 1.0 call both the end.

    Args:
      name: As in `gymnax.registered_envs`.
      **params: Physical constants and the time limit, in place of gymnax's own.

    Raises:
      UserError: There is no environment or no parameter of that name.

    Example:
      >>> env = gymnax("CartPole-v1", max_steps_in_episode=200)
      >>> state, observation = env.reset(jax.random.key(0))
      >>> observation.shape, env.action_size
      ((4,), 2)

    References:
      Lange, `gymnax: A JAX-based Reinforcement Learning Environment Library
      <https://github.com/RobertTLange/gymnax>`_, 2022.
    """
    from gymnax import make, registered_envs  # Slow, as it imports matplotlib.

    if name not in registered_envs:
        message = f"There is no environment {name!r}. {near(name, registered_envs)}"
        raise UserError(message)
    env, defaults = make(name)
    for unknown in params.keys() - vars(defaults).keys():
        hint = near(unknown, vars(defaults))
        raise UserError(f"{name} has no parameter {unknown!r}. {hint}")
    limited = defaults.replace(**params)
    endless = limited.replace(max_steps_in_episode=FOREVER)

    def reset(key):
        observation, state = env.reset(key, limited)
        return strong((state, observation))

    def step(state, action, key):
        observation, state, reward, done, _ = env.step_env(key, state, action, limited)
        late = state.time >= limited.max_steps_in_episode
        terminated = jnp.where(late, env.is_terminal(state, endless), done).astype(bool)
        reward = jnp.asarray(reward, jnp.float32)
        timestep = Timestep(observation, reward, terminated, late & ~terminated)
        return strong((state, timestep))

    return Env(reset, step, env.num_actions)


def strong(tree: PyTree) -> PyTree:
    """Gives every leaf a type of its own, as a Python number has none in JAX."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(x)), tree)
