"""Reinforcement learning: rollouts, advantage estimation, on-policy learning."""

from fdl.rl import bandits, tabular
from fdl.rl.episode_stats import (
    EpisodeStats,
    init_episode_stats,
    update_episode_stats,
)
from fdl.rl.episodes import on_episodes, play
from fdl.rl.observation_stats import normalize_observations, update_observation_stats
from fdl.rl.on_policy import OnPolicyState, minibatch_steps, on_policy, shuffle
from fdl.rl.policies import (
    Policy,
    action_probabilities,
    actor,
    greedy,
    map_outputs,
    sampling,
)
from fdl.rl.recording import Episode, Player, record
from fdl.rl.returns import gae
from fdl.rl.rollout import Transition, unroll

__all__ = [
    "Episode",
    "EpisodeStats",
    "OnPolicyState",
    "Player",
    "Policy",
    "Transition",
    "action_probabilities",
    "actor",
    "bandits",
    "gae",
    "greedy",
    "init_episode_stats",
    "map_outputs",
    "minibatch_steps",
    "normalize_observations",
    "on_episodes",
    "on_policy",
    "play",
    "record",
    "sampling",
    "shuffle",
    "tabular",
    "unroll",
    "update_episode_stats",
    "update_observation_stats",
]
