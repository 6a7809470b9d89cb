"""Confidence interval of a mean over seeds (Student's t), within a metric's range."""

from typing import Any, NamedTuple

import numpy as np

INFINITY = float("inf")
# By the names of functions of `fdl.metrics`, and usual abbreviations of them.
RANGES = {
    "accuracy": (0, 1),
    "average_precision": (0, 1),
    "balanced_accuracy": (0, 1),
    "bits_per": (0, INFINITY),
    "bits_per_byte": (0, INFINITY),
    "bits_per_character": (0, INFINITY),
    "bleu": (0, 100),
    "brier_score": (0, 2),
    "calibration_error": (0, 1),
    "character_error_rate": (0, INFINITY),
    "chrf": (0, 100),
    "cohen_kappa": (-1, 1),
    "exact_match": (0, 1),
    "explained_variance": (-INFINITY, 1),
    "f1": (0, 1),
    "f_beta": (0, 1),
    "hamming_loss": (0, 1),
    "label_error_rate": (0, INFINITY),
    "log_loss": (0, INFINITY),
    "mae": (0, INFINITY),
    "matthews_correlation": (-1, 1),
    "mean_absolute_error": (0, INFINITY),
    "mean_absolute_percentage_error": (0, INFINITY),
    "mean_squared_error": (0, INFINITY),
    "mse": (0, INFINITY),
    "perplexity": (1, INFINITY),
    "precision": (0, 1),
    "r2": (-INFINITY, 1),
    "recall": (0, 1),
    "rmse": (0, INFINITY),
    "roc_auc": (0, 1),
    "root_mean_squared_error": (0, INFINITY),
    "word_error_rate": (0, INFINITY),
}


class MeanInterval(NamedTuple):
    """Mean over seeds with its confidence interval.

    Attributes:
      mean: Mean; NaN without seeds.
      error: Standard error of the mean; NaN for fewer than two seeds.
      low: Lower end of the 95 % interval; NaN for fewer than two seeds.
      high: Upper end of the interval.
    """

    mean: float
    error: float
    low: float
    high: float


def interval(values: Any, metric: str = "") -> MeanInterval:
    """95 % confidence interval of a mean over seeds or folds, of Student's t.

    It is cut off at the bounds of the metric's range. That costs no coverage, as the
    true mean of values in a range lies in it as well. Student's t assumes values that
    are normally distributed, and near a bound they are skewed: in 4000 simulations
    each, intervals of 95 % contained an accuracy of 0.90 in 95 % (three folds of 120
    examples), of 0.97 in 92 % (three folds of 60) and 94 % (five), but of 0.99 in 83 %
    (five folds of 36), where often all folds are without a mistake.

    Args:
      values: One value per seed, float [S].
      metric: Name of the metric, see `range_of`; it has no bounds if values lie
        outside, such as an accuracy in per cent.

    Example:
      >>> low, high = interval([0.93, 0.97, 0.99], "accuracy")[2:]
      >>> f"{low:.3f} .. {high:.3f}"
      '0.887 .. 1.000'
    """
    values = np.asarray(values, np.float64)
    if values.size < 2:
        mean = float(values.sum() if values.size else "nan")
        return MeanInterval(mean, *[float("nan")] * 3)
    # Quantiles from `scipy.special`, since `scipy.stats` takes a second to import.
    # Imported late: training waits for no statistics.
    from scipy.special import stdtrit

    # Scaled, as the square of a number beyond 1e154 overflows.
    scale = max(np.abs(values).max(), np.finfo(np.float64).tiny)
    with np.errstate(over="ignore", invalid="ignore"):  # Of infinity and NaN.
        scaled = values / scale
        mean = float(scaled.mean() * scale)
        error = float(scaled.std(ddof=1) / np.sqrt(values.size) * scale)
    half = float(stdtrit(values.size - 1, 0.975)) * error
    low, high = mean - half, mean + half
    least, most = range_of(metric)
    if least <= values.min() and values.max() <= most:
        low, high = max(low, least), min(high, most)
    return MeanInterval(mean, error, low, high)


def range_of(metric: str) -> tuple[float, float]:
    """Range of a metric, by its name: infinite, if the name tells no bounds.

    It is that of the function of `fdl.metrics` whose name it has or ends in, as in
    ``cnn/accuracy`` and ``top_5_accuracy``.
    """
    name = metric.rpartition("/")[2]
    found = [x for x in RANGES if name == x or name.endswith(f"_{x}")]
    return RANGES[max(found, key=len)] if found else (-INFINITY, INFINITY)
