"""Objectives: a model and losses make what to minimise, and what to watch."""

from fdl.objectives.augmented import augmented, mixed
from fdl.objectives.binary_classification import binary_classification
from fdl.objectives.classification import classification
from fdl.objectives.penalised import penalised
from fdl.objectives.ppo import ppo
from fdl.objectives.reconstruction import reconstruction
from fdl.objectives.regression import regression

__all__ = [
    "augmented",
    "binary_classification",
    "classification",
    "mixed",
    "penalised",
    "ppo",
    "reconstruction",
    "regression",
]
