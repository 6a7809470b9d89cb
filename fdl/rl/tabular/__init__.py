"""Tabular reinforcement learning: dynamic programming, and learners with a table."""

from fdl.rl.tabular.dynamic_programming import (
    Solution,
    expected_updates,
    policy_evaluation,
    policy_iteration,
    value_iteration,
)
from fdl.rl.tabular.monte_carlo import (
    MonteCarloState,
    monte_carlo_control,
    monte_carlo_prediction,
)
from fdl.rl.tabular.tables import epsilon_greedy, table
from fdl.rl.tabular.td_control import (
    ControlState,
    expected_sarsa,
    q_learning,
    sarsa,
    td_control,
)
from fdl.rl.tabular.td_prediction import PredictionState, td_lambda, td_prediction

__all__ = [
    "ControlState",
    "MonteCarloState",
    "PredictionState",
    "Solution",
    "epsilon_greedy",
    "expected_sarsa",
    "expected_updates",
    "monte_carlo_control",
    "monte_carlo_prediction",
    "policy_evaluation",
    "policy_iteration",
    "q_learning",
    "sarsa",
    "table",
    "td_control",
    "td_lambda",
    "td_prediction",
    "value_iteration",
]
