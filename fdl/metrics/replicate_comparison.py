"""Comparison of two kinds of runs over their seeds or folds: t-tests of the mean.

They cover the variance of training, which a comparison of two trained models on the
same examples does not, and not the choice of the test examples.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fdl.errors import UserError
from fdl.metrics.paired_comparison import Comparison


@np.errstate(invalid="ignore")  # Of infinity, the difference is NaN.
def over_seeds(first: Any, second: Any, *, paired: bool = True) -> Comparison:
    """Student's t-test of the mean over seeds, paired, or else Welch's.

    Runs of equal seeds share all that is drawn from them, such as the order of the
    data, which the difference of each pair is free of. Other seeds are compared without
    pairs, as two samples of unequal variances.

    Args:
      first: Metric of the first model for each seed, float [S].
      second: Metric of the second model for each seed, float [S], or [T] if not paired.
      paired: True if both are of the same seeds, in the same order.

    Raises:
      UserError: There are less than two seeds, or pairs of different numbers.

    Example:
      >>> result = over_seeds([0.90, 0.92, 0.91], [0.93, 0.94, 0.95])
      >>> round(result.difference, 3), round(result.p_value, 3)
      (0.03, 0.035)

    References:
      Welch, `The Generalization of "Student's" Problem when Several Different
      Population Variances Are Involved <https://doi.org/10.1093/biomet/34.1-2.28>`_,
      1947.
    """
    a, b = _checked(first, second, paired=paired)
    if paired:
        return _t_test(a, b, (b - a).var(ddof=1) / a.size, a.size - 1)
    parts = np.array([x.var(ddof=1) / x.size for x in (a, b)])
    freedoms = np.array([a.size - 1, b.size - 1])
    variance = parts.sum()
    # Without any variance, the degrees of freedom do not matter.
    freedom = variance**2 / (parts**2 / freedoms).sum() if variance else 1.0
    return _t_test(a, b, variance, freedom)


@np.errstate(invalid="ignore")
def over_folds(first: Any, second: Any) -> Comparison:
    """Corrected t-test of the mean over the K folds of a cross-validation.

    Two folds share most of their training data, so that their results depend on each
    other, and the variance σ² / K of a plain t-test is too small. This one is
    σ² (1/K + n_test/n_train) with n_test/n_train = 1 / (K - 1).

    Args:
      first: Metric of the first model on each fold, float [K].
      second: Metric of the second model on the same folds, float [K].

    Raises:
      UserError: There are less than two folds, or other numbers of them.

    References:
      Nadeau and Bengio, `Inference for the Generalization Error
      <https://doi.org/10.1023/A:1024068626366>`_, 2003.
    """
    a, b = _checked(first, second, paired=True)
    share = 1 / a.size + 1 / (a.size - 1)
    return _t_test(a, b, (b - a).var(ddof=1) * share, a.size - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: of several tests, the chance of any false alarm.

    The i-th smallest of m is multiplied by m - i + 1, and is at least the one before
    it. NaN is no test, and stays NaN.

    Args:
      p_values: p-value of each test, [M].

    Example:
      >>> holm([0.04, 0.01, 0.03])
      [0.06, 0.03, 0.06]

    References:
      Holm, `A Simple Sequentially Rejective Multiple Test Procedure
      <https://www.jstor.org/stable/4615733>`_, 1979.
    """
    p = np.array(p_values, np.float64)
    order = [i for i in np.argsort(p) if not np.isnan(p[i])]
    factors = np.arange(len(order), 0, -1)
    p[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return p.tolist()


def _checked(first: Any, second: Any, *, paired: bool) -> tuple[np.ndarray, np.ndarray]:
    a, b = (np.asarray(x, np.float64) for x in (first, second))
    if a.ndim != 1 or b.ndim != 1 or min(a.size, b.size) < 2:
        raise UserError(
            f"shapes {list(a.shape)} and {list(b.shape)}: expected at least two each"
        )
    if paired and a.size != b.size:
        raise UserError(f"{a.size} and {b.size} values: expected pairs")
    return a, b


def _t_test(a: np.ndarray, b: np.ndarray, variance: Any, freedom: float) -> Comparison:
    """Comparison of means whose difference has a variance and degrees of freedom."""
    # From `scipy.special`, since `scipy.stats` takes a second to import. Imported late:
    # training waits for no statistics.
    from scipy.special import stdtr, stdtrit

    means = float(a.mean()), float(b.mean())
    difference, error = means[1] - means[0], float(np.sqrt(variance))
    half = float(stdtrit(freedom, 0.975)) * error
    if error == 0:  # All pairs differ alike.
        p_value = 1.0 if difference == 0 else 0.0
    else:
        p_value = 2 * float(stdtr(freedom, -abs(difference) / error))
    low, high = difference - half, difference + half
    return Comparison(*means, difference, low, high, p_value)
