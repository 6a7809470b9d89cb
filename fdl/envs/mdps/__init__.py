"""Finite Markov decision processes: grid worlds, random walk and deep sea."""

from fdl.envs.mdps.deep_sea import deep_sea
from fdl.envs.mdps.grid_world import (
    Tile,
    cliff,
    frozen_lake,
    grid_world,
    two_corners,
)
from fdl.envs.mdps.random_walk import random_walk

__all__ = [
    "Tile",
    "cliff",
    "deep_sea",
    "frozen_lake",
    "grid_world",
    "random_walk",
    "two_corners",
]
