"""Evaluation of policies on full episodes."""

import jax
import jax.numpy as jnp

from fdl.errors import check_positive
from fdl.rl.policies import Policy
from fdl.rl.recurrent import RecurrentPolicy, with_carry
from fdl.rl.rollout import reset_all, step_all
from fdl.types import Array, Env, Evaluate, Key, Variables


def on_episodes(
    env: Env,
    policy: Policy | RecurrentPolicy,
    *,
    num_episodes: int,
    max_steps: int = 10_000,
    seed: int = 0,
) -> Evaluate:
    """Evaluation of a policy by its returns on full episodes.

    All evaluations use the same random seed, so that they can be compared.

    Args:
      env: Environment.
      policy: Policy to evaluate, such as `greedy(model, distribution)`.
      num_episodes: Number of episodes, played in parallel.
      max_steps: Maximum number of steps of an episode; one that has not ended by then
        counts as it is.
      seed: Seed of resets, transitions and stochastic policies.

    Returns:
      ``evaluate(variables)``, to the mean ``episode_return`` and ``episode_length``,
      and the lowest return of an episode, ``episode_return_min``.

    Raises:
      UserError: There is no episode, or no step.
    """
    check_positive(num_episodes=num_episodes, max_steps=max_steps)

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

    def evaluate(variables):
        metrics = jax.device_get(evaluate_on_device(variables))
        return {name: float(value) for name, value in metrics.items()}

    return evaluate


def play(
    env: Env,
    policy: Policy | RecurrentPolicy,
    variables: Variables,
    key: Key,
    *,
    num_episodes: int,
    max_steps: int,
) -> tuple[Array, Array]:
    """Returns and lengths of episodes, each played to its end.

    Args:
      env: Environment.
      policy: Policy to play with.
      variables: Variables of the policy's model.
      key: Key of resets, transitions and stochastic policies.
      num_episodes: Number of episodes, E, played in parallel.
      max_steps: Maximum number of steps of an episode.

    Returns:
      Undiscounted returns, float [E], and lengths, int [E].
    """
    reset_key, play_key = jax.random.split(key)
    env_state, observation = reset_all(env, reset_key, num_episodes)
    remembering = with_carry(policy)

    def any_playing(carry):
        step, *_, playing = carry
        return (step < max_steps) & playing.any()

    def advance(carry):
        step, memory, env_state, observation, returns, lengths, playing = carry
        act_key, step_key = jax.random.split(jax.random.fold_in(play_key, step))
        memory, action = remembering.step(variables, memory, observation, act_key)
        # Environments are stepped beyond the end of their episode, until all have
        # ended; rewards after the end are masked.
        env_state, timestep = step_all(env, env_state, action, step_key)
        return (
            step + 1,
            memory,
            env_state,
            timestep.observation,
            returns + jnp.where(playing, timestep.reward, 0),
            lengths + playing,
            playing & ~timestep.terminated & ~timestep.truncated,
        )

    zero = jnp.zeros(num_episodes, jnp.int32)
    playing = jnp.ones(num_episodes, bool)
    returns = zero.astype(jnp.float32)
    start = (
        0,
        remembering.init(num_episodes),
        env_state,
        observation,
        returns,
        zero,
        playing,
    )
    *_, returns, lengths, _ = jax.lax.while_loop(any_playing, advance, start)
    return returns, lengths
