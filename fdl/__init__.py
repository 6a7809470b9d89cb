"""fdl: functional deep learning.

Everything is a pair of pure functions: a model is ``(init, apply)``, an optimizer
``(init, update)``, an environment ``(reset, step)``, a learner ``(init, step)``.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # For type checkers, what `__getattr__` finds.
    from fdl import config as config
    from fdl import data as data
    from fdl import diagnostics as diagnostics
    from fdl import distributions as distributions
    from fdl import envs as envs
    from fdl import errors as errors
    from fdl import evaluation as evaluation
    from fdl import experiment as experiment
    from fdl import generation as generation
    from fdl import learners as learners
    from fdl import losses as losses
    from fdl import metrics as metrics
    from fdl import models as models
    from fdl import objectives as objectives
    from fdl import optim as optim
    from fdl import plots as plots
    from fdl import rl as rl
    from fdl import runs as runs
    from fdl import train as train
    from fdl import trees as trees
    from fdl import types as types
    from fdl.config import make as make
    from fdl.evaluation import on_dataset as on_dataset
    from fdl.experiment.supervised import supervised as supervised
    from fdl.learners.compositions import alternate as alternate
    from fdl.learners.compositions import target_update as target_update
    from fdl.learners.gradient import counted as counted
    from fdl.learners.gradient import gradient_learner as gradient_learner
    from fdl.learners.gradient import init_train_state as init_train_state
    from fdl.learners.gradient_step import gradient_step as gradient_step
    from fdl.learners.hyperparameters import (
        inject_hyperparameters as inject_hyperparameters,
    )
    from fdl.learners.monte_carlo import monte_carlo as monte_carlo
    from fdl.learners.monte_carlo import monte_carlo_estimates as monte_carlo_estimates
    from fdl.learners.repeat import repeat as repeat
    from fdl.learners.replicas import evaluate_each as evaluate_each
    from fdl.learners.replicas import select as select
    from fdl.learners.replicate import replicate as replicate
    from fdl.learners.statistics import refresh_statistics as refresh_statistics
    from fdl.runs.trained_model import load_model as load_model
    from fdl.runs.trained_model import load_run as load_run
    from fdl.types import Ability as Ability
    from fdl.types import Batches as Batches
    from fdl.types import Claim as Claim
    from fdl.types import Env as Env
    from fdl.types import Examples as Examples
    from fdl.types import Experiment as Experiment
    from fdl.types import Learner as Learner
    from fdl.types import Mean as Mean
    from fdl.types import Model as Model
    from fdl.types import Objective as Objective
    from fdl.types import Timestep as Timestep
    from fdl.types import TrainState as TrainState

__version__ = "0.1.0"

# Modules, and names in them that are public here as well. They load on first use:
# `fdl --help` waits for no jax, and a model for no training.
_MODULES = {
    "config": "make",
    "data": "",
    "diagnostics": "",
    "distributions": "",
    "envs": "",
    "errors": "",
    "evaluation": "on_dataset",
    "experiment": "supervised",
    "generation": "",
    "learners": """
        alternate counted evaluate_each gradient_learner gradient_step init_train_state
        inject_hyperparameters monte_carlo monte_carlo_estimates refresh_statistics
        repeat replicate select target_update
    """,
    "losses": "",
    "metrics": "",
    "models": "",
    "objectives": "",
    "optim": "",
    "plots": "",
    "rl": "",
    "runs": "",
    "train": "",
    "trees": "",
    "types": """
        Ability Batches Claim Env Examples Experiment Learner Mean Model Objective
        Timestep TrainState
    """,
}
_MODULE_OF = {name: key for key, names in _MODULES.items() for name in names.split()}
# Not imported by their package, whose other modules commands import without jax.
_MODULE_OF |= dict.fromkeys(("load_model", "load_run"), "runs.trained_model")

__all__ = sorted([*_MODULES, *_MODULE_OF])


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"fdl.{name}")
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"fdl.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'fdl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
