"""Episode statistics: returns and lengths of the episodes of a rollout."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.rl.rollout import where
from fdl.types import Array, Mean, Metrics


class EpisodeStats(NamedTuple):
    """Statistics of the running episodes of N environments.

    Attributes:
      total: Undiscounted return so far, float [N].
      length: Number of steps so far, int32 [N].
    """

    total: Array
    length: Array


def init_episode_stats(num_envs: int) -> EpisodeStats:
    """Statistics of episodes that have just begun.

    Args:
      num_envs: Number of environments, N.
    """
    zeros = jnp.zeros(num_envs, jnp.int32)
    return EpisodeStats(zeros.astype(jnp.float32), zeros)


def update_episode_stats(
    stats: EpisodeStats, reward: Array, ended: Array
) -> tuple[EpisodeStats, Metrics]:
    """Statistics after a rollout, and metrics of the episodes that ended within it.

    Args:
      stats: Statistics before the rollout, [N].
      reward: Rewards of the rollout, float [T, N].
      ended: True in the last step of an episode, bool [T, N].

    Returns:
      Statistics after the rollout, and the mean ``episode_return`` and
      ``episode_length`` of all episodes that ended, weighted by their number.

    Example:
      >>> reward, ended = jnp.ones((3, 1)), jnp.array([[False], [True], [False]])
      >>> stats, metrics = update_episode_stats(init_episode_stats(1), reward, ended)
      >>> stats.total, metrics["episode_return"].compute()
      (Array([1.], dtype=float32), Array(2., dtype=float32))
    """

    def step(stats, inputs):
        reward, ended = inputs
        stats = EpisodeStats(stats.total + reward, stats.length + 1)
        zeros = jax.tree.map(jnp.zeros_like, stats)
        return where(ended, zeros, stats), where(ended, stats, zeros)

    stats, complete = jax.lax.scan(step, stats, (reward, ended))
    num_ended = ended.sum(dtype=jnp.float32)
    return stats, {
        "episode_return": Mean(complete.total.sum(), num_ended),
        "episode_length": Mean(complete.length.sum(dtype=jnp.float32), num_ended),
    }
