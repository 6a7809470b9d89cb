"""Statistics of scores over runs and tasks: robust means, intervals, profiles."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fdl.errors import UserError, check_positive
from fdl.metrics.bootstrap import Interval


def interquartile_mean(scores: Any) -> float:
    """Interquartile mean (IQM): mean of the scores without the least and greatest 25 %.

    Outliers move it less than the mean, and it varies less than the median. Of all
    numbers together, a quarter is left out at each end, rounded down.

    Args:
      scores: Scores of runs, float [R], or of runs on tasks, float [R, M].

    Raises:
      UserError: There are none, or they have other shapes.

    Example:
      >>> interquartile_mean([0.0, 1.0, 2.0, 9.0])
      1.5

    References:
      Agarwal et al., `Deep Reinforcement Learning at the Edge of the Statistical
      Precipice <https://arxiv.org/abs/2108.13264>`_, 2021, section 4.3.
    """
    # SciPy takes long to import, and metrics are imported by every training.
    from scipy import stats

    return float(stats.trim_mean(_checked(scores), 0.25, axis=None))


def optimality_gap(scores: Any, target: float = 1.0) -> float:
    """Optimality gap: mean of what scores are below a target.

    Args:
      scores: Scores of runs, float [R], or of runs on tasks, float [R, M].
      target: Score beyond which none counts as better.

    Raises:
      UserError: There are no scores, or they have other shapes.

    Example:
      >>> optimality_gap([0.5, 3.0])
      0.25

    References:
      Agarwal et al., 2021; see `interquartile_mean`.
    """
    return float(np.maximum(target - _checked(scores), 0).mean())


def probability_of_improvement(first: Any, second: Any) -> float:
    """Probability that a run of the second is better than one of the first.

    On each task, the share of pairs in which the second has the greater score, ties
    counted half: the Mann-Whitney U statistic divided by the number of pairs. Tasks
    count alike.

    Args:
      first: Scores of the first, float [R], or [R, M] on M tasks.
      second: Scores of the second, float [S], or [S, M] on the same tasks.

    Raises:
      UserError: There are no scores, or they are of different numbers of tasks.

    Example:
      >>> probability_of_improvement([1.0, 2.0], [2.0, 3.0])
      0.875

    References:
      Agarwal et al., 2021; see `interquartile_mean`.
    """
    a, b = _checked(first), _checked(second)
    if a.shape[1] != b.shape[1]:
        raise UserError(
            f"scores of {a.shape[1]} and {b.shape[1]} tasks: expected the same tasks"
        )
    greater = (b[:, None] > a) + 0.5 * (b[:, None] == a)
    return float(greater.mean())


def performance_profile(scores: Any, thresholds: Any) -> np.ndarray:
    """Performance profile: the share of runs whose score exceeds each threshold.

    Args:
      scores: Scores of runs, float [R], or of runs on tasks, float [R, M].
      thresholds: Scores to exceed, float [T].

    Returns:
      Shares from 0 to 1, float64 [T]: of all runs on all tasks.

    Raises:
      UserError: There are no scores, or they have other shapes.

    Example:
      >>> performance_profile([1.0, 3.0], [0.0, 1.0, 2.0, 3.0])
      array([1. , 0.5, 0.5, 0. ])

    References:
      Agarwal et al., 2021, section 4.2; see `interquartile_mean`.
    """
    found = np.sort(_checked(scores), axis=None)
    below = np.searchsorted(found, np.asarray(thresholds, np.float64), side="right")
    return 1 - below / found.size


def stratified_interval(
    statistic: Callable[..., Any],
    *scores: Any,
    confidence: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of a statistic of runs, which are resampled task by task.

    Of each task, as many runs as there are are drawn with replacement, apart from those
    of the other tasks; of several arguments, apart from each other. The interval are
    percentiles of the values of the resamples. Of fewer than ten runs it is too narrow.

    Args:
      statistic: ``statistic(*scores)``, such as `interquartile_mean` of one array, or
        `probability_of_improvement` of two.
      *scores: Scores of runs, float [R], or of runs on tasks, float [R, M].
      confidence: Confidence level.
      num_resamples: Number of resamples.
      seed: Seed of the resampling.

    Raises:
      UserError: There are no scores, or an option is out of range.

    Example:
      >>> found = stratified_interval(interquartile_mean, np.arange(20.0))
      >>> found.value, found.low < 9.5 < found.high
      (9.5, True)

    References:
      Agarwal et al., 2021, section 4.1; see `interquartile_mean`.
    """
    if not 0 < confidence < 1:
        raise UserError(f"confidence={confidence}: expected a number between 0 and 1")
    check_positive(num_resamples=num_resamples)
    low, high = resampled(
        statistic, *scores, confidence=confidence, count=num_resamples, seed=seed
    )
    value = statistic(*map(_checked, scores))
    return Interval(float(value), float(low), float(high), 0.0)


def resampled(
    statistic: Callable[..., Any],
    *scores: Any,
    confidence: float = 0.95,
    count: int = 2000,
    seed: int = 0,
) -> np.ndarray:
    """Percentiles of a statistic of resampled runs; see `stratified_interval`.

    Args:
      statistic: ``statistic(*scores)``, a number or an array [...].
      *scores: Scores of runs, float [R], or of runs on tasks, float [R, M].
      confidence: Confidence level.
      count: Number of resamples.
      seed: Seed of the resampling.

    Returns:
      Lower and upper end, float64 [2, ...].
    """
    arrays = [_checked(x) for x in scores]
    draw = functools.partial(_resample, np.random.default_rng(seed))
    values = [statistic(*map(draw, arrays)) for _ in range(count)]
    tail = 50 * (1 - confidence)
    return np.percentile(values, [tail, 100 - tail], axis=0)


def _resample(random: np.random.Generator, scores: np.ndarray) -> np.ndarray:
    """Scores of as many runs, drawn for each task."""
    rows = random.integers(len(scores), size=scores.shape)
    return np.take_along_axis(scores, rows, axis=0)


def _checked(scores: Sequence | np.ndarray) -> np.ndarray:
    """Scores as float64 [R, M]."""
    array = np.asarray(scores, np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise UserError(
            f"scores.shape={list(np.shape(scores))}: expected [R] of runs, or [R, M] "
            "of runs on tasks, at least one"
        )
    return array
