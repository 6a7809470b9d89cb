"""Reward normalisation by running statistics of the discounted return."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.rl.statistics.running import (
    RunningStats,
    init_running_stats,
    update_running_stats,
)
from fdl.types import Array


class RewardStats(NamedTuple):
    """Statistics of the rewards of N environments.

    Attributes:
      total: Discounted sum of the rewards of the running episodes so far, float [N].
      returns: Running statistics of these sums, over all steps and environments.
    """

    total: Array
    returns: RunningStats


def init_reward_stats(num_envs: int) -> RewardStats:
    """Statistics before the first reward.

    Args:
      num_envs: Number of environments, N.
    """
    return RewardStats(jnp.zeros(num_envs, jnp.float32), init_running_stats())


def normalize_rewards(
    stats: RewardStats, reward: Array, ended: Array, *, discount: float
) -> tuple[RewardStats, Array]:
    """Rewards divided by the running standard deviation of the discounted return.

    The return is the sum that looks back, ``R = γ R + r``, which begins anew with each
    episode. Means are not subtracted: how long an episode should last would change. All
    rewards of a rollout have the same divisor, with the rollout in it already.

    Args:
      stats: Statistics before the rollout, [N].
      reward: Rewards of the rollout, float [T, N].
      ended: True in the last step of an episode, bool [T, N].
      discount: Discount factor γ.

    Returns:
      Statistics after the rollout, and normalised rewards, float [T, N].

    References:
      Engstrom et al., `Implementation Matters in Deep Policy Gradients
      <https://arxiv.org/abs/2005.12729>`_, 2020.
    """

    def step(total, inputs):
        reward, ended = inputs
        total = discount * total + reward
        return jnp.where(ended, 0, total), total

    total, totals = jax.lax.scan(step, stats.total, (reward, ended))
    returns = update_running_stats(stats.returns, totals)
    return RewardStats(total, returns), returns.scale(reward)
