"""Adapter of gymnax, whose environments are written in JAX and run on the device."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.envs.specs import box, discrete
from fdl.errors import UserError, check_positive, near
from fdl.types import Env, PyTree, Spec, Timestep

# A time limit that no episode reaches, and whose comparison with an int32 count of
# steps does not overflow.
FOREVER = 2**30


def gymnax(name: str, **params: Any) -> Env:
    """Environment of gymnax, such as ``"CartPole-v1"``.

    Its time limit truncates an episode, and every other end terminates it, in all
    versions of gymnax: those before 1.0 do not distinguish between the two.

    Actions out of bounds are passed on as they are. Pendulum clips them; the continuous
    mountain car clips the force, and charges for the action before. `clip_actions`
    brings those of an unbounded policy within bounds.

    Args:
      name: Name in `gymnax.registered_envs`.
      **params: Environment parameters, such as physical constants and the time limit,
        in place of gymnax's defaults.

    Raises:
      UserError: There is no environment or parameter of that name, or no step in an
        episode.

    Example:
      >>> env = gymnax("CartPole-v1", max_steps_in_episode=200)
      >>> state, observation = env.reset(jax.random.key(0))
      >>> observation.shape, env.observation.shape, env.action.num_values
      ((4,), (4,), 2)

    References:
      Lange, `gymnax: A JAX-based Reinforcement Learning Environment Library
      <https://github.com/RobertTLange/gymnax>`_, 2022.
    """
    from gymnax import make, registered_envs  # Slow, as it imports matplotlib.

    if name not in registered_envs:
        message = f"there is no environment {name!r}. {near(name, registered_envs)}"
        raise UserError(message)
    env, defaults = make(name)
    for unknown in params.keys() - vars(defaults).keys():
        hint = near(unknown, vars(defaults))
        raise UserError(f"{name} has no parameter {unknown!r}. {hint}")
    check_positive(**{k: x for k, x in params.items() if k == "max_steps_in_episode"})
    limited = defaults.replace(**params)
    endless = limited.replace(max_steps_in_episode=FOREVER)

    def reset(key):
        observation, state = env.reset(key, limited)
        return strong((state, observation))

    def step(state, action, key):
        # `env.step` would reset after the end, and discard the last observation.
        observation, after, reward, done, _ = env.step_env(key, state, action, limited)
        timed_out = after.time >= limited.max_steps_in_episode
        # At the time limit, gymnax is asked a second time, without the limit, whether
        # the state is terminal: falling in the last step is no truncation.
        terminal = env.is_terminal(after, endless)
        if hasattr(after, "terminal") and not hasattr(env, "is_truncated"):
            # Before 1.0, MinAtar keeps the answer, by the limit, in its state.
            *_, terminal, _ = env.step_env(key, state, action, endless)
        terminated = jnp.where(timed_out, terminal, done).astype(bool)
        reward = jnp.asarray(reward, jnp.float32)
        timestep = Timestep(observation, reward, terminated, timed_out & ~terminated)
        return strong((after, timestep))

    _, observation = jax.eval_shape(reset, jax.random.key(0))
    observation_spec = _spec(
        env.observation_space(limited), observation.shape, observation.dtype
    )
    space = env.action_space(limited)
    action_spec = _spec(space, space.shape, space.dtype)
    return Env(reset, step, observation_spec, action_spec, name)


def _spec(space: Any, shape: tuple[int, ...], dtype: Any) -> Spec:
    """Specification of a space of gymnax.

    Shape and dtype are those of the arrays themselves: the spaces of some environments
    declare others.
    """
    if hasattr(space, "n"):
        return discrete(space.n)
    # The largest float stands for no bound.
    largest = np.finfo(np.float32).max
    low, high = (np.asarray(bound, np.float32) for bound in (space.low, space.high))
    low = np.where(low <= -largest, -np.inf, low)
    high = np.where(high >= largest, np.inf, high)
    return box(shape, low, high, dtype)


def strong(tree: PyTree) -> PyTree:
    """Tree of arrays without weak types.

    Some environments put Python numbers into their states. JAX gives these a weak type,
    which is lost in the first operation with an array: a step would change the type of
    the state.
    """
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(x)), tree)
