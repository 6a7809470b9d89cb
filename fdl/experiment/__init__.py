"""Experiments from their parts: functions that return an `fdl.Experiment`."""

from fdl.experiment.baselines import with_baselines
from fdl.experiment.comparison import compare
from fdl.experiment.fine_tuning import fine_tuning
from fdl.experiment.language import language_modelling
from fdl.experiment.log_likelihood import with_log_likelihood
from fdl.experiment.ngrams import with_ngrams
from fdl.experiment.reinforcement_learning import reinforcement_learning
from fdl.experiment.sample_measures import with_energy_distance, with_sample_measures
from fdl.experiment.sequence_task import sequence_task
from fdl.experiment.supervised import supervised
from fdl.experiment.tasks import Task, classification, regression, tagging
from fdl.experiment.text_classification import (
    text_classification,
    word_classification,
)
from fdl.experiment.translation import Side, translation
from fdl.experiment.unsupervised_baselines import with_unsupervised_baselines
from fdl.experiment.unsupervised_tasks import (
    flow,
    pixels,
    reconstruction,
    variational,
)

__all__ = [
    "Side",
    "Task",
    "classification",
    "compare",
    "fine_tuning",
    "flow",
    "language_modelling",
    "pixels",
    "reconstruction",
    "regression",
    "reinforcement_learning",
    "sequence_task",
    "supervised",
    "tagging",
    "text_classification",
    "translation",
    "variational",
    "with_baselines",
    "with_energy_distance",
    "with_log_likelihood",
    "with_ngrams",
    "with_sample_measures",
    "with_unsupervised_baselines",
    "word_classification",
]
