"""Tabular reinforcement learning: dynamic programming, and learners with a table."""

from fdl.rl.tabular.dynamic_programming import (
    Solution,
    expected_updates,
    policy_evaluation,
    policy_iteration,
    value_iteration,
)

__all__ = [
    "Solution",
    "expected_updates",
    "policy_evaluation",
    "policy_iteration",
    "value_iteration",
]
