"""Learners: ``(init, step)`` pairs, and functions that combine them."""

from fdl.learners.comparison import ComparisonState, compare_learners, evaluate_each
from fdl.learners.gradient import gradient_learner, gradient_step, init_train_state
from fdl.learners.microbatches import Gradient, gradient
from fdl.learners.monte_carlo import (
    MonteCarloState,
    monte_carlo,
    monte_carlo_estimates,
)
from fdl.learners.repeat import repeat
from fdl.learners.replicate import over_seeds

__all__ = [
    "ComparisonState",
    "Gradient",
    "MonteCarloState",
    "compare_learners",
    "evaluate_each",
    "gradient",
    "gradient_learner",
    "gradient_step",
    "init_train_state",
    "monte_carlo",
    "monte_carlo_estimates",
    "over_seeds",
    "repeat",
]
