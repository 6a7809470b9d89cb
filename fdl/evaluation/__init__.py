"""Evaluation: metrics on a dataset, predictions, paired comparisons."""

from fdl.evaluation.codebook import check_codebook
from fdl.evaluation.compare import changes, compare
from fdl.evaluation.dataset import on_dataset
from fdl.evaluation.disentanglement import mutual_information_gap
from fdl.evaluation.distances import energy_distance
from fdl.evaluation.examples import (
    EvaluatedExamples,
    batch_shapes,
    evaluate_examples,
    target_name,
)
from fdl.evaluation.export import as_csv, as_json, prediction_rows
from fdl.evaluation.generative import (
    embedder,
    latent_decoder,
    prior_sampler,
    reconstructor,
    sampler,
)
from fdl.evaluation.language_model import language_model, log_likelihoods
from fdl.evaluation.latent_variables import active_units, importance_sampled
from fdl.evaluation.log_density import log_density
from fdl.evaluation.partition_function import (
    LogPartition,
    annealed_importance_sampling,
)
from fdl.evaluation.pixels import pixel_sampler
from fdl.evaluation.predict import predict
from fdl.evaluation.predictors import classifier, only_input, regressor, tagger
from fdl.evaluation.published import published_abilities
from fdl.evaluation.scores import ExampleScores, score_examples
from fdl.evaluation.translation import translator

__all__ = [
    "EvaluatedExamples",
    "ExampleScores",
    "active_units",
    "LogPartition",
    "annealed_importance_sampling",
    "as_csv",
    "as_json",
    "batch_shapes",
    "changes",
    "check_codebook",
    "classifier",
    "compare",
    "embedder",
    "energy_distance",
    "evaluate_examples",
    "importance_sampled",
    "language_model",
    "latent_decoder",
    "log_density",
    "log_likelihoods",
    "mutual_information_gap",
    "on_dataset",
    "only_input",
    "pixel_sampler",
    "predict",
    "prediction_rows",
    "prior_sampler",
    "published_abilities",
    "reconstructor",
    "regressor",
    "sampler",
    "score_examples",
    "tagger",
    "target_name",
    "translator",
]
