"""Objectives: training losses of a model, with the metrics to monitor."""

from fdl.objectives.actor_critic import actor_critic
from fdl.objectives.augmented import augmented, mixed
from fdl.objectives.binary_classification import binary_classification
from fdl.objectives.classification import classification
from fdl.objectives.contractive_reconstruction import contractive_reconstruction
from fdl.objectives.contrastive_divergence import contrastive_divergence
from fdl.objectives.ctc import ctc
from fdl.objectives.density import density
from fdl.objectives.deterministic_policy import (
    deterministic_actor,
    deterministic_critic,
)
from fdl.objectives.importance_weighted import importance_weighted
from fdl.objectives.language_modelling import language_modelling
from fdl.objectives.masked_language_modelling import masked_language_modelling
from fdl.objectives.penalised import penalised
from fdl.objectives.pixel_likelihood import pixel_likelihood
from fdl.objectives.policy_gradient import policy_gradient
from fdl.objectives.ppo import ppo
from fdl.objectives.preference import preference
from fdl.objectives.q_learning import q_learning, q_regression, td_errors
from fdl.objectives.reconstruction import denoising_reconstruction, reconstruction
from fdl.objectives.regression import regression
from fdl.objectives.sequence_to_sequence import sequence_to_sequence
from fdl.objectives.skip_gram import skip_gram
from fdl.objectives.soft_actor_critic import (
    soft_actor,
    soft_critic,
    soft_temperature,
)
from fdl.objectives.sparse_reconstruction import sparse_reconstruction
from fdl.objectives.variational import variational
from fdl.objectives.vector_quantised import vector_quantised

__all__ = [
    "actor_critic",
    "augmented",
    "binary_classification",
    "classification",
    "contractive_reconstruction",
    "contrastive_divergence",
    "ctc",
    "denoising_reconstruction",
    "density",
    "deterministic_actor",
    "deterministic_critic",
    "importance_weighted",
    "language_modelling",
    "masked_language_modelling",
    "mixed",
    "penalised",
    "pixel_likelihood",
    "policy_gradient",
    "ppo",
    "preference",
    "q_learning",
    "q_regression",
    "reconstruction",
    "regression",
    "sequence_to_sequence",
    "skip_gram",
    "soft_actor",
    "soft_critic",
    "soft_temperature",
    "sparse_reconstruction",
    "td_errors",
    "variational",
    "vector_quantised",
]
