"""Metrics as mergeable sums: exact over uneven batches, masks and devices.

All have one signature, ``metric(logits or predictions, labels or targets, mask=None)``,
with options as keywords, and return sums that merge by adding their leaves. Their
``compute()`` returns a scalar; some have further methods, such as ``per_class()``.

NaN in, NaN out: a value that is NaN, or a label that is no class, makes the metric NaN
unless it is masked, as it would otherwise pass for a wrong or even a right answer.
"""

from fdl.metrics import bootstrap, exact, paired_comparison, replicate_comparison
from fdl.metrics.accuracy import accuracy, mean, top_k_accuracy
from fdl.metrics.calibration import calibration_error
from fdl.metrics.codebook import code_perplexity, codes_used
from fdl.metrics.confusion import confusion_matrix
from fdl.metrics.correlation import balanced_accuracy, matthews_correlation
from fdl.metrics.error_rates import (
    character_error_rate,
    label_error_rate,
    word_error_rate,
)
from fdl.metrics.f_score import f_beta
from fdl.metrics.kappa import cohen_kappa
from fdl.metrics.language import bits_per, exact_match, perplexity
from fdl.metrics.multilabel import hamming_loss, subset_accuracy
from fdl.metrics.precision_recall import f1, precision, recall
from fdl.metrics.r2 import explained_variance, r2
from fdl.metrics.ranking import average_precision, roc_auc
from fdl.metrics.regression import (
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    root_mean_squared_error,
)
from fdl.metrics.run_scores import (
    interquartile_mean,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    stratified_interval,
)
from fdl.metrics.scoring_rules import brier_score, log_loss
from fdl.metrics.translation import CorpusScore, bleu, chrf

__all__ = [
    "CorpusScore",
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "bits_per",
    "bleu",
    "bootstrap",
    "brier_score",
    "calibration_error",
    "character_error_rate",
    "chrf",
    "code_perplexity",
    "codes_used",
    "cohen_kappa",
    "confusion_matrix",
    "exact",
    "exact_match",
    "explained_variance",
    "f1",
    "f_beta",
    "hamming_loss",
    "interquartile_mean",
    "label_error_rate",
    "log_loss",
    "matthews_correlation",
    "mean",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "optimality_gap",
    "paired_comparison",
    "performance_profile",
    "perplexity",
    "precision",
    "probability_of_improvement",
    "r2",
    "recall",
    "replicate_comparison",
    "roc_auc",
    "root_mean_squared_error",
    "stratified_interval",
    "subset_accuracy",
    "top_k_accuracy",
    "word_error_rate",
]
