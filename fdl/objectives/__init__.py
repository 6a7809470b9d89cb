"""Objectives: a model and losses make what to minimise, and what to watch."""

from fdl.objectives.classification import classification
from fdl.objectives.ppo import ppo
from fdl.objectives.reconstruction import reconstruction
from fdl.objectives.regression import regression

__all__ = ["classification", "ppo", "reconstruction", "regression"]
