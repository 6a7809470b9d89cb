"""Running statistics of observations, rewards and episodes."""

from fdl.rl.statistics.episodes import (
    EpisodeStats,
    init_episode_stats,
    update_episode_stats,
)
from fdl.rl.statistics.observations import (
    normalize_observations,
    update_observation_stats,
)
from fdl.rl.statistics.rewards import RewardStats, init_reward_stats, normalize_rewards
from fdl.rl.statistics.running import (
    RunningStats,
    init_running_stats,
    update_running_stats,
)

__all__ = [
    "EpisodeStats",
    "RewardStats",
    "RunningStats",
    "init_episode_stats",
    "init_reward_stats",
    "init_running_stats",
    "normalize_observations",
    "normalize_rewards",
    "update_episode_stats",
    "update_observation_stats",
    "update_running_stats",
]
