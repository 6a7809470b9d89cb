"""Experiments from their parts: functions that return an `fdl.Experiment`."""

from fdl.experiment.baselines import with_baselines
from fdl.experiment.comparison import compare
from fdl.experiment.supervised import supervised
from fdl.experiment.tasks import Task, classification, regression, tagging
from fdl.experiment.text_classification import text_classification

__all__ = [
    "Task",
    "classification",
    "compare",
    "regression",
    "supervised",
    "tagging",
    "text_classification",
    "with_baselines",
]
