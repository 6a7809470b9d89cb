"""Replay memories, which lie on the device: uniform and prioritised."""

from fdl.rl.replay.prioritized import PrioritizedState, prioritized_replay
from fdl.rl.replay.uniform import Replay, Ring, n_step, uniform_replay

__all__ = [
    "PrioritizedState",
    "Replay",
    "Ring",
    "n_step",
    "prioritized_replay",
    "uniform_replay",
]
