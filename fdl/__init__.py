"""fdl: functional deep learning.

Everything is a pair of pure functions: a model is ``(init, apply)``, an optimizer
``(init, update)``, an environment ``(reset, step)``, a learner ``(init, step)``.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fdl import config as config
    from fdl import data as data
    from fdl import diagnostics as diagnostics
    from fdl import distributions as distributions
    from fdl import envs as envs
    from fdl import errors as errors
    from fdl import evaluation as evaluation
    from fdl import experiment as experiment
    from fdl import learners as learners
    from fdl import losses as losses
    from fdl import metrics as metrics
    from fdl import models as models
    from fdl import objectives as objectives
    from fdl import optim as optim
    from fdl import plots as plots
    from fdl import rl as rl
    from fdl import train as train
    from fdl import types as types
    from fdl.config import make as make
    from fdl.diagnostics.layer_stats import layer_stats as layer_stats
    from fdl.evaluation import on_dataset as on_dataset
    from fdl.experiment.supervised import supervised as supervised
    from fdl.learners import evaluate_each as evaluate_each
    from fdl.learners import gradient_learner as gradient_learner
    from fdl.learners import gradient_step as gradient_step
    from fdl.learners import monte_carlo_estimates as monte_carlo_estimates
    from fdl.learners import refresh_statistics as refresh_statistics
    from fdl.learners import replicate as replicate
    from fdl.learners import select as select
    from fdl.learners.hyperparameters import (
        inject_hyperparameters as inject_hyperparameters,
    )
    from fdl.learners.monte_carlo import monte_carlo as monte_carlo
    from fdl.learners.repeat import repeat as repeat
    from fdl.types import Claim as Claim
    from fdl.types import Experiment as Experiment

__version__ = "0.1.0"

# Names load on first use: `fdl --help` waits for no jax, and a model for no training.
_MODULE_OF = {
    "Claim": "types",
    "Experiment": "types",
    "evaluate_each": "learners",
    "gradient_learner": "learners",
    "gradient_step": "learners",
    "inject_hyperparameters": "learners",
    "layer_stats": "diagnostics",
    "make": "config",
    "monte_carlo": "learners",
    "monte_carlo_estimates": "learners",
    "on_dataset": "evaluation",
    "refresh_statistics": "learners",
    "repeat": "learners",
    "replicate": "learners",
    "select": "learners",
    "supervised": "experiment",
}
_MODULES = (
    *("config", "data", "diagnostics", "distributions", "envs", "errors"),
    *(
        "evaluation",
        "experiment",
        "learners",
        "losses",
        "metrics",
        "models",
        "objectives",
    ),
    *("optim", "plots", "rl", "train", "types"),
)

__all__ = [*_MODULE_OF, *_MODULES]


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"fdl.{name}")
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"fdl.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'fdl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
