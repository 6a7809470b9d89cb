"""Exploration: noise of actions, and bonuses for what is new."""

from fdl.rl.exploration.bonuses import Bonus, count_bonus, grid_cells
from fdl.rl.exploration.distillation import (
    DistillationState,
    random_network_distillation,
)
from fdl.rl.exploration.noise import epsilon_greedy, gaussian_noise, noisy

__all__ = [
    "Bonus",
    "DistillationState",
    "count_bonus",
    "epsilon_greedy",
    "gaussian_noise",
    "grid_cells",
    "noisy",
    "random_network_distillation",
]
