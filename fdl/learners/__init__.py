"""Learners: ``(init, step)`` pairs, and functions that combine them."""

from fdl.learners.adapters import adapter_learner
from fdl.learners.compositions import alternate, every, target_update
from fdl.learners.gradient import counted, gradient_learner, init_train_state
from fdl.learners.gradient_step import Update, gradient_step
from fdl.learners.hyperparameters import inject_hyperparameters
from fdl.learners.microbatches import Gradient, gradient
from fdl.learners.monte_carlo import (
    MonteCarloState,
    monte_carlo,
    monte_carlo_estimates,
)
from fdl.learners.repeat import repeat
from fdl.learners.replicas import (
    Replicas,
    evaluate_each,
    join_metrics,
    select,
)
from fdl.learners.replicate import replicate
from fdl.learners.statistics import fresh_statistics, refresh_statistics
from fdl.learners.step_outputs import as_metrics, checked, with_prefix
from fdl.learners.target_networks import target_network_learner
from fdl.trees import select_variables, side_by_side

__all__ = [
    "Gradient",
    "MonteCarloState",
    "Replicas",
    "Update",
    "adapter_learner",
    "alternate",
    "as_metrics",
    "checked",
    "counted",
    "evaluate_each",
    "every",
    "fresh_statistics",
    "gradient",
    "gradient_learner",
    "gradient_step",
    "init_train_state",
    "inject_hyperparameters",
    "join_metrics",
    "monte_carlo",
    "monte_carlo_estimates",
    "refresh_statistics",
    "repeat",
    "replicate",
    "select",
    "select_variables",
    "side_by_side",
    "target_network_learner",
    "target_update",
    "with_prefix",
]
