"""Evaluation: metrics on a dataset, predictions, paired comparisons."""

from fdl.evaluation.codebook import check_codebook
from fdl.evaluation.compare import changes, compare
from fdl.evaluation.dataset import on_dataset
from fdl.evaluation.embeddings.clusters import cluster_scores, k_means_scores, purity
from fdl.evaluation.embeddings.disentanglement import mutual_information_gap
from fdl.evaluation.embeddings.on_embeddings import on_embeddings, together
from fdl.evaluation.embeddings.probes import (
    knn_probe,
    label_curve,
    linear_probe,
    probe_interval,
)
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
from fdl.evaluation.samples.classifiers import (
    SampleClasses,
    frechet_distance,
    sample_classes,
)
from fdl.evaluation.samples.distances import energy_distance
from fdl.evaluation.samples.kernels import (
    Floor,
    median_distance,
    mmd,
    real_against_real,
)
from fdl.evaluation.samples.manifolds import (
    Nearest,
    SampleQuality,
    nearest_examples,
    sample_precision_recall,
)
from fdl.evaluation.scores import ExampleScores, score_examples
from fdl.evaluation.translation import translator

__all__ = [
    "EvaluatedExamples",
    "ExampleScores",
    "Floor",
    "LogPartition",
    "Nearest",
    "SampleClasses",
    "SampleQuality",
    "active_units",
    "annealed_importance_sampling",
    "as_csv",
    "as_json",
    "batch_shapes",
    "changes",
    "check_codebook",
    "classifier",
    "cluster_scores",
    "compare",
    "embedder",
    "energy_distance",
    "evaluate_examples",
    "frechet_distance",
    "importance_sampled",
    "k_means_scores",
    "knn_probe",
    "label_curve",
    "language_model",
    "latent_decoder",
    "linear_probe",
    "log_density",
    "log_likelihoods",
    "median_distance",
    "mmd",
    "mutual_information_gap",
    "nearest_examples",
    "on_dataset",
    "on_embeddings",
    "only_input",
    "pixel_sampler",
    "predict",
    "prediction_rows",
    "prior_sampler",
    "probe_interval",
    "published_abilities",
    "purity",
    "real_against_real",
    "reconstructor",
    "regressor",
    "sample_classes",
    "sample_precision_recall",
    "sampler",
    "score_examples",
    "tagger",
    "target_name",
    "together",
    "translator",
]
