"""fdl: functional deep learning.

Everything is a pair of pure functions: a model is ``(init, apply)``, an optimizer
``(init, update)``, an environment ``(reset, step)``, a learner ``(init, step)``.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fdl import config as config
    from fdl import data as data
    from fdl import distributions as distributions
    from fdl import envs as envs
    from fdl import losses as losses
    from fdl import metrics as metrics
    from fdl import models as models
    from fdl import objectives as objectives
    from fdl import optim as optim
    from fdl import pictures as pictures
    from fdl import prediction as prediction
    from fdl import rl as rl
    from fdl import tools as tools
    from fdl import train as train
    from fdl.arms import on_each_arm as on_each_arm
    from fdl.arms import side_by_side as side_by_side
    from fdl.config import make as make
    from fdl.evaluation import on_dataset as on_dataset
    from fdl.layers import layer_norms as layer_norms
    from fdl.learner import gradient_learner as gradient_learner
    from fdl.learner import gradient_step as gradient_step
    from fdl.learner import over_seeds as over_seeds
    from fdl.learner import repeat as repeat
    from fdl.measurements import measured as measured
    from fdl.measurements import measuring as measuring
    from fdl.types import Claim as Claim
    from fdl.types import Experiment as Experiment

__version__ = "0.1.0"

# Names load on first use: `fdl --help` waits for no jax, and a model for no training.
_MODULE_OF = {
    "Claim": "types",
    "Experiment": "types",
    "gradient_learner": "learner",
    "gradient_step": "learner",
    "layer_norms": "layers",
    "make": "config",
    "measured": "measurements",
    "measuring": "measurements",
    "on_dataset": "evaluation",
    "on_each_arm": "arms",
    "over_seeds": "learner",
    "repeat": "learner",
    "side_by_side": "arms",
}
_MODULES = (
    *("config", "data", "distributions", "envs", "losses"),
    *("metrics", "models", "objectives", "optim", "pictures"),
    *("prediction", "rl", "tools", "train"),
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
