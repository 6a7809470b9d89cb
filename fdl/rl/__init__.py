"""Reinforcement learning: rollouts, advantage estimation, on-policy learning."""

from fdl.rl.episodes import on_episodes, play
from fdl.rl.on_policy import OnPolicyState, on_policy
from fdl.rl.policies import Policy, greedy, sampling
from fdl.rl.returns import gae
from fdl.rl.rollout import Transition, unroll

__all__ = [
    "OnPolicyState",
    "Policy",
    "Transition",
    "gae",
    "greedy",
    "on_episodes",
    "on_policy",
    "play",
    "sampling",
    "unroll",
]
