"""Learners: ``(init, step)`` pairs, and functions that combine them."""

from fdl.learners.comparison import ComparisonState, compare_learners, evaluate_each
from fdl.learners.gradient import counted, gradient_learner, init_train_state
from fdl.learners.gradient_step import Update, gradient_step
from fdl.learners.microbatches import Gradient, gradient
from fdl.learners.monte_carlo import (
    MonteCarloState,
    monte_carlo,
    monte_carlo_estimates,
)
from fdl.learners.repeat import repeat
from fdl.learners.replicate import over_seeds
from fdl.learners.statistics import refresh_statistics
from fdl.learners.step_outputs import as_metrics, checked, with_prefix

__all__ = [
    "ComparisonState",
    "Gradient",
    "MonteCarloState",
    "Update",
    "as_metrics",
    "checked",
    "compare_learners",
    "counted",
    "evaluate_each",
    "gradient",
    "gradient_learner",
    "gradient_step",
    "init_train_state",
    "monte_carlo",
    "monte_carlo_estimates",
    "over_seeds",
    "refresh_statistics",
    "repeat",
    "with_prefix",
]
