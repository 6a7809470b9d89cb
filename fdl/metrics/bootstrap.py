"""How sure a metric is, given how many examples it was measured on."""

import functools
import types
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fdl.errors import UserError
from fdl.metrics.resampling import blocks, num_examples, of_indices, rows_at_once
from fdl.types import Array, Metric


class Interval(NamedTuple):
    """A metric, and what it may as well have been on other examples.

    Attributes:
      value: Of the examples themselves.
      low: Lower end of the interval.
      high: Upper end of the interval.
      undefined: Share of resamples without a value, which are left out, as those
        without positives are by an area under a curve.
    """

    value: float
    low: float
    high: float
    undefined: float


def interval(
    metric: Callable[..., Metric | Array],
    *arrays: Array,
    confidence: float = 0.95,
    num_resamples: int = 2000,
    method: str = "percentile",
    seed: int = 0,
) -> Interval:
    """The interval of a metric by the bootstrap: from examples drawn with replacement.

    It tells of the sampling of the test examples, not of that of the training examples
    or the seed: models trained anew vary more.

    Args:
      metric: ``metric(*arrays)``, as all of `fdl.metrics` and of `fdl.metrics.exact`.
      *arrays: What there is of each example: logits, labels and so on, each [N, ...].
      confidence: How often such an interval has the true value in it.
      num_resamples: How many times N examples are drawn.
      method: "percentile", quantiles of the resampled values; "basic", these reflected
        at the value; "bca", corrected for bias and skewness: better for few examples,
        but it takes N more resamples.
      seed: Of the drawing.

    Raises:
      UserError: The arrays are not of the same length, or empty; the metric or its
        interval is not defined for them; or there is no such method.

    Example:
      >>> from fdl import metrics
      >>> chosen, labels = np.arange(40) % 2, np.arange(40) % 4 // 3
      >>> value, low, high, _ = interval(metrics.accuracy, chosen, labels)
      >>> value, 0.5 < low < value < high < 0.95
      (0.75, True)

    References:
      Efron and Tibshirani, `An Introduction to the Bootstrap
      <https://doi.org/10.1201/9780429246593>`_, 1993, chapters 13 and 14.
    """
    size = num_examples(arrays)
    statistic = functools.partial(of_indices(metric), arrays)
    return resampled(statistic, size, confidence, num_resamples, method, seed)


def resampled(
    statistic: Callable[[np.ndarray], np.ndarray],
    size: int,
    confidence: float,
    num_resamples: int,
    method: str,
    seed: int,
) -> Interval:
    """The interval of a statistic of the indices of examples; see `interval`."""
    from scipy import stats

    _check(confidence, num_resamples, method)
    whole = np.arange(size)
    value = float(statistic(whole))
    if np.isnan(value):
        raise UserError("the metric is not a number for these examples: no interval")
    random = np.random.default_rng(seed)
    drawn = (
        random.integers(size, size=(rows, size)) for rows in blocks(num_resamples, size)
    )
    values = np.concatenate([statistic(rows) for rows in drawn])
    defined = values[~np.isnan(values)]
    undefined = 1 - defined.size / num_resamples
    if not np.ptp(np.append(defined, value)):
        return Interval(value, value, value, undefined)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # Told below, in one line.
        found = stats.bootstrap(
            (whole,),
            lambda indices, axis: statistic(indices),  # The axis is the last.
            n_resamples=0,
            bootstrap_result=types.SimpleNamespace(bootstrap_distribution=defined),
            confidence_level=confidence,
            method=method,
            batch=rows_at_once(size),
            vectorized=True,
        ).confidence_interval
    if np.isnan([found.low, found.high]).any():
        raise UserError(f"the {method} interval is not defined here: use 'percentile'")
    return Interval(value, float(found.low), float(found.high), undefined)


def _check(confidence, num_resamples, method):
    if method not in ("percentile", "basic", "bca"):
        raise UserError(
            f"method is {method!r}: expected 'percentile', 'basic' or 'bca'"
        )
    if not 0 < confidence < 1:
        raise UserError(f"confidence is {confidence}: expected a share, as 0.95")
    if num_resamples < 1:
        raise UserError(f"num_resamples is {num_resamples}: expected at least 1")
