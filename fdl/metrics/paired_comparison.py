"""Which of two models is better, on the same examples."""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.metrics.bootstrap import resampled
from fdl.metrics.decisions import decide
from fdl.metrics.resampling import (
    blocks,
    in_blocks,
    num_examples,
    of_indices,
    value_of,
    width,
)
from fdl.types import Array, Metric


class Comparison(NamedTuple):
    """A metric of two models on the same examples.

    Attributes:
      first: Of the first model.
      second: Of the second model.
      difference: Of the second less that of the first.
      low: Lower end of the interval of the difference.
      high: Upper end of it.
      p_value: How often a difference as large comes about where the models are only
        names, swapped example by example.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float


def compare(
    metric: Callable[..., Metric | Array],
    first: Array,
    second: Array,
    *shared: Array,
    confidence: float = 0.95,
    num_resamples: int = 2000,
    method: str = "percentile",
    seed: int = 0,
) -> Comparison:
    """The difference of two models, its interval, and whether it may be chance.

    The interval is that of the paired bootstrap: examples are drawn with replacement,
    and both models are measured on those. The p-value is that of the paired permutation
    test: if the models were equally good, it would not matter which of them said what
    of an example; p is the share of swaps that make a difference |δ| as large,
    (1 + #{|δ*| ≥ |δ|}) / (1 + swaps), or exactly #{|δ*| ≥ |δ|} / 2ᴺ where all swaps are
    few enough to be tried. Both tell of the test examples, not of training anew.

    Args:
      metric: ``metric(predictions, *shared)``, as all of `fdl.metrics`.
      first: What the first model says of each example, logits or predictions [N, ...].
      second: The same of the second.
      *shared: Labels or targets, and what else the metric takes, each [N, ...].
      confidence: How often such an interval has the true difference in it.
      num_resamples: How many times examples are drawn, and swaps tried.
      method: Of the interval; see `fdl.metrics.bootstrap.interval`.
      seed: Of the drawing.

    Raises:
      UserError: As `fdl.metrics.bootstrap.interval`.

    Example:
      >>> from fdl import metrics
      >>> labels = jnp.arange(8) % 2
      >>> found = compare(metrics.accuracy, labels, jnp.zeros(8, int), labels)
      >>> found.first, found.second, found.difference, found.p_value
      (1.0, 0.5, -0.5, 0.125)

    References:
      Good, `Permutation, Parametric, and Bootstrap Tests of Hypotheses
      <https://doi.org/10.1007/b138696>`_, 2005.
    """
    first, second = jnp.asarray(first), jnp.asarray(second)
    size = num_examples((first, second, *shared))
    measure = of_indices(metric)

    def both(indices):
        return [measure((model, *shared), indices) for model in (first, second)]

    def difference(indices):
        one, other = both(indices)
        return other - one

    found = resampled(difference, size, confidence, num_resamples, method, seed)
    mixed = _of_swaps(metric, first, second, shared)
    swaps = _swaps(size, num_resamples, seed)
    differences = np.concatenate([mixed(rows) - mixed(~rows) for rows in swaps])
    one, other = map(float, both(np.arange(size)))
    # Equal differences of floats are not quite equal.
    slack = 1e-6 * max(abs(one), abs(other))
    as_large = np.sum(np.abs(differences) >= abs(found.value) - slack)
    exact = differences.size == 2**size
    p_value = (as_large + (not exact)) / (differences.size + (not exact))
    return Comparison(one, other, found.value, found.low, found.high, float(p_value))


class Changes(NamedTuple):
    """Which examples changed sides.

    Attributes:
      gained: Indices of those that only the second model has right, int [G].
      lost: Indices of those that only the first has right, int [L].
    """

    gained: np.ndarray
    lost: np.ndarray

    def p_value(self) -> float:
        """How likely such an imbalance is if each had an even chance: McNemar's test.

        It is exact, 2 P(X ≤ min(G, L)) for a binomial X of G + L trials, and that of
        `compare` for accuracy if all swaps are tried.

        References:
          McNemar, `Note on the sampling error of the difference between correlated
          proportions or percentages <https://doi.org/10.1007/BF02295996>`_, 1947.
        """
        from scipy import stats

        trials = self.gained.size + self.lost.size
        if not trials:
            return 1.0
        return float(stats.binomtest(self.gained.size, trials).pvalue)


def changes(first: Array, second: Array, labels: Array) -> Changes:
    """Which examples one model has right and the other has not.

    Args:
      first: What the first model says, in one of the forms that `fdl.metrics.accuracy`
        takes, [N, ...].
      second: The same of the second.
      labels: Class indices, int [N, ...]; an example is right if all of its are.

    Raises:
      UserError: The shapes do not fit.

    Example:
      >>> labels = jnp.array([0, 1, 0])
      >>> found = changes(jnp.array([0, 1, 1]), jnp.array([0, 0, 0]), labels)
      >>> found.gained, found.lost, found.p_value()
      (array([2]), array([1]), 1.0)
    """

    def right(logits):
        predicted, actual, valid, _ = decide(logits, labels)
        correct = np.asarray((predicted == actual) & valid)
        return correct.reshape(len(correct), -1).all(axis=-1)

    before, after = right(first), right(second)
    return Changes(np.flatnonzero(~before & after), np.flatnonzero(before & ~after))


def _of_swaps(metric, first, second, shared):
    """The metric of the second model, but of the first where swapped, bool [R, N]."""

    def of_row(arrays, row):
        first, second, *shared = arrays
        swap = row.reshape(-1, *(1,) * (first.ndim - 1))
        return value_of(metric(jnp.where(swap, first, second), *shared))

    of_block = jax.jit(jax.vmap(of_row, in_axes=(None, 0)))
    arrays = [first, second, *map(jnp.asarray, shared)]
    function = functools.partial(of_block, arrays)
    return lambda rows: in_blocks(function, rows, width(arrays))


def _swaps(size, num_resamples, seed):
    """Which examples are swapped, bool [R, N]: all ways if they are few, or some."""
    if 2**size <= num_resamples:
        yield np.array(list(itertools.product((False, True), repeat=size)))
        return
    random = np.random.default_rng(seed)
    for rows in blocks(num_resamples, size):
        yield random.integers(2, size=(rows, size), dtype=bool)
