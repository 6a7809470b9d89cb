"""Reinforcement learning: rollouts, advantage estimation, on-policy learning."""

from fdl.rl import bandits, tabular
from fdl.rl.episodes import on_episodes, play
from fdl.rl.episodic import EpisodicState, episodic
from fdl.rl.exploration.bonuses import Bonus, count_bonus, grid_cells
from fdl.rl.exploration.distillation import (
    DistillationState,
    random_network_distillation,
)
from fdl.rl.exploration.noise import epsilon_greedy, gaussian_noise, noisy
from fdl.rl.minibatches import minibatch_steps, shuffle
from fdl.rl.off_policy import OffPolicyState, count_updates, off_policy
from fdl.rl.on_policy import OnPolicyState, on_policy
from fdl.rl.parallel_q_learning import parallel_q_learning, q_lambda
from fdl.rl.policies import (
    Policy,
    action_probabilities,
    actor,
    deterministic,
    greedy,
    map_outputs,
    mask_actions,
    sampling,
)
from fdl.rl.recording import Episode, Player, record
from fdl.rl.recurrent import RecurrentPolicy, recurrent_greedy, sequences
from fdl.rl.recurrent_on_policy import RecurrentState, recurrent_on_policy
from fdl.rl.replay.prioritized import PrioritizedState, prioritized_replay
from fdl.rl.replay.uniform import Replay, Ring, n_step, uniform_replay
from fdl.rl.returns import (
    discounted_returns,
    gae,
    lambda_returns,
    n_step_returns,
    retrace,
    vtrace,
)
from fdl.rl.rollout import Transition, unroll
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
    "Bonus",
    "DistillationState",
    "Episode",
    "EpisodeStats",
    "EpisodicState",
    "OffPolicyState",
    "OnPolicyState",
    "Player",
    "Policy",
    "PrioritizedState",
    "RecurrentPolicy",
    "RecurrentState",
    "Replay",
    "RewardStats",
    "Ring",
    "RunningStats",
    "Transition",
    "action_probabilities",
    "actor",
    "bandits",
    "count_bonus",
    "count_updates",
    "deterministic",
    "discounted_returns",
    "episodic",
    "epsilon_greedy",
    "gae",
    "gaussian_noise",
    "greedy",
    "grid_cells",
    "init_episode_stats",
    "init_reward_stats",
    "init_running_stats",
    "lambda_returns",
    "map_outputs",
    "mask_actions",
    "minibatch_steps",
    "n_step",
    "n_step_returns",
    "noisy",
    "normalize_observations",
    "normalize_rewards",
    "off_policy",
    "on_episodes",
    "on_policy",
    "parallel_q_learning",
    "play",
    "prioritized_replay",
    "q_lambda",
    "random_network_distillation",
    "record",
    "recurrent_greedy",
    "recurrent_on_policy",
    "retrace",
    "sampling",
    "sequences",
    "shuffle",
    "tabular",
    "uniform_replay",
    "unroll",
    "update_episode_stats",
    "update_observation_stats",
    "update_running_stats",
    "vtrace",
]
