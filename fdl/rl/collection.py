"""Rollouts in the environments of a learner, which go on from one to the next."""

from collections.abc import Callable

from fdl.rl.rollout import Transition, unroll
from fdl.rl.statistics.episodes import update_episode_stats
from fdl.types import Array, Env, Key, Metrics, State


def collect(
    env: Env,
    policy: Callable[[Array, Key], Array],
    state: State,
    key: Key,
    num_steps: int,
) -> tuple[State, Transition, Metrics]:
    """Rollout of a policy in the environments of a learner, and metrics of episodes.

    Args:
      env: Environment.
      policy: ``policy(observation, key) -> action``, with a leading axis [N].
      state: State of the learner: a named tuple with ``env``, ``observation`` and
        ``episode``, those of N environments.
      key: Key of actions, transitions and resets.
      num_steps: Number of steps of the rollout, T.

    Returns:
      The state whose environments have gone on, the transitions, [T, N, ...], and
      metrics.
    """
    env_state, observation, transitions = unroll(
        env, policy, state.env, state.observation, key, num_steps
    )
    episode, metrics = update_episode_stats(
        state.episode, transitions.reward, transitions.ended
    )
    after = state._replace(env=env_state, observation=observation, episode=episode)
    return after, transitions, metrics
