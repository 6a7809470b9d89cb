"""How well a policy does in episodes of its own."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from fdl.optim import averaged
from fdl.rl.policies import Policy
from fdl.types import Array, Env, Key, State, Variables


def on_episodes(
    env: Env,
    policy: Policy,
    *,
    num_episodes: int,
    max_steps: int = 10_000,
    seed: int = 0,
) -> Callable[[State], Mapping[str, float]]:
    """Plays full episodes, always of the same chance, and reports the returns.

    Args:
      env: What to play.
      policy: What to play with, such as `greedy(model, distribution)`. It is given the
        variables of ``state.train``, with averaged weights if there are any
        (`optim.averaged`).
      num_episodes: How many, all at once.
      max_steps: Where to cut episodes that do not end by themselves.
      seed: Of all that is left to chance.

    Returns:
      ``evaluate(state)``: mean ``episode_return`` and ``episode_length``, and the
      return of the worst episode, ``episode_return_min``.
    """

    @jax.jit
    def evaluate_on_device(variables):
        key = jax.random.key(seed)
        returns, lengths = play(
            env, policy, variables, key, num_episodes=num_episodes, max_steps=max_steps
        )
        return {
            "episode_return": returns.mean(),
            "episode_return_min": returns.min(),
            "episode_length": lengths.mean(),
        }

    def evaluate(state):
        metrics = jax.device_get(evaluate_on_device(averaged(state.train).variables))
        return {name: float(value) for name, value in metrics.items()}

    return evaluate


def play(
    env: Env,
    policy: Policy,
    variables: Variables,
    key: Key,
    *,
    num_episodes: int,
    max_steps: int,
) -> tuple[Array, Array]:
    """Plays each episode to its end.

    Args:
      env: What to play.
      policy: What to play with.
      variables: Of the policy's model.
      key: Of all that is left to chance.
      num_episodes: How many, E, all at once.
      max_steps: Where to cut episodes that do not end by themselves.

    Returns:
      Returns, float [E], and lengths, int [E].
    """
    reset_key, play_key = jax.random.split(key)
    reset_keys = jax.random.split(reset_key, num_episodes)
    env_state, observation = jax.vmap(env.reset)(reset_keys)

    def go_on(carry):
        step, *_, playing = carry
        return (step < max_steps) & playing.any()

    def move(carry):
        step, env_state, observation, returns, lengths, playing = carry
        act_key, step_key = jax.random.split(jax.random.fold_in(play_key, step))
        action = policy(variables, observation, act_key)
        step_keys = jax.random.split(step_key, num_episodes)
        env_state, timestep = jax.vmap(env.step)(env_state, action, step_keys)
        return (
            step + 1,
            env_state,
            timestep.observation,
            returns + jnp.where(playing, timestep.reward, 0),
            lengths + playing,
            playing & ~timestep.terminated & ~timestep.truncated,
        )

    zero = jnp.zeros(num_episodes, jnp.int32)
    playing = jnp.ones(num_episodes, bool)
    start = 0, env_state, observation, zero.astype(jnp.float32), zero, playing
    _, _, _, returns, lengths, _ = jax.lax.while_loop(go_on, move, start)
    return returns, lengths
