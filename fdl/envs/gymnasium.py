"""Evaluation in environments of gymnasium, which run on the host."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.envs.specs import box, discrete, expect
from fdl.errors import UserError, near
from fdl.types import Array, Key, Spec, Variables


def play_in_gymnasium(
    name: str,
    policy: Callable[[Variables, Array, Key], Array],
    variables: Variables,
    *,
    num_episodes: int,
    max_steps: int = 10_000,
    seed: int = 0,
    **options: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns and lengths of episodes of a policy in an environment of gymnasium.

    A policy that was trained in gymnax's environment of the same name reaches the same
    return here, if the two move alike. Actions are clipped to the bounds of the
    environment.

    Args:
      name: Name in gymnasium's registry, such as ``"CartPole-v1"``.
      policy: ``policy(variables, observations, key) -> actions``, with a leading axis
        [E], such as `fdl.rl.greedy(model, distribution)`.
      variables: Variables of the policy's model.
      num_episodes: Number of episodes, E, played side by side, each to its end.
      max_steps: Maximum number of steps of an episode.
      seed: Seed of resets and of the policy.
      **options: Options of `gymnasium.make`, such as ``max_episode_steps``.

    Returns:
      Undiscounted returns, float64 [E], and lengths, int64 [E].

    Raises:
      UserError: There is no environment of that name, or its actions are not those of
        the policy.
    """
    import gymnasium  # Slow, and only for those who ask for it.

    if name not in gymnasium.registry:
        hint = near(name, gymnasium.registry)
        raise UserError(f"there is no environment {name!r} in gymnasium. {hint}")
    envs = [gymnasium.make(name, **options) for _ in range(num_episodes)]
    observations = np.stack([env.reset(seed=seed + i)[0] for i, env in enumerate(envs)])
    expected = _spec(envs[0].action_space)
    returns, lengths = np.zeros(num_episodes), np.zeros(num_episodes, np.int64)
    playing = np.ones(num_episodes, bool)
    key = jax.random.key(seed)
    act = jax.jit(policy)
    while playing.any() and lengths.max() < max_steps:
        step_key = jax.random.fold_in(key, int(lengths.max()))
        actions = act(variables, jnp.asarray(observations), step_key)
        expect("action", actions, expected)
        actions = np.clip(actions, expected.minimum, expected.maximum)
        actions = np.asarray(actions, expected.dtype)
        for i in np.flatnonzero(playing):
            observations[i], reward, terminated, truncated, _ = envs[i].step(actions[i])
            returns[i] += float(reward)
            lengths[i] += 1
            playing[i] = not (terminated or truncated)
    for env in envs:
        env.close()
    return returns, lengths


def _spec(space: Any) -> Spec:
    """Specification of a space of actions of gymnasium."""
    if hasattr(space, "n"):
        return discrete(int(space.n))
    if not hasattr(space, "low"):
        raise UserError(f"the actions are a {space}: expected numbers")
    return box(space.shape, space.low, space.high, space.dtype)
