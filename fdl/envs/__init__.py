"""Environments, adapted to the interface `Env`, and wrappers of them."""

from fdl.envs import mdps
from fdl.envs.bandit import BanditState, bandit
from fdl.envs.gymnasium import play_in_gymnasium
from fdl.envs.gymnax import gymnax
from fdl.envs.mdp import MDP, from_mdp
from fdl.envs.specs import box, discrete
from fdl.envs.wrappers import (
    clip_actions,
    frame_stack,
    map_rewards,
    one_hot_observations,
    scale_actions,
    sticky_actions,
    time_limit,
)

__all__ = [
    "MDP",
    "BanditState",
    "bandit",
    "box",
    "clip_actions",
    "discrete",
    "frame_stack",
    "from_mdp",
    "gymnax",
    "map_rewards",
    "mdps",
    "one_hot_observations",
    "play_in_gymnasium",
    "scale_actions",
    "sticky_actions",
    "time_limit",
]
