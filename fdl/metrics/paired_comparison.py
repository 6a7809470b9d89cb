"""Paired comparison of two models: bootstrap, permutation test, McNemar's test."""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.metrics.bootstrap import ROUNDING, resampled
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
    """Paired comparison of two models on the same examples.

    Attributes:
      first: Metric of the first model.
      second: Metric of the second model.
      difference: Metric of the second model minus that of the first.
      low: Lower end of the confidence interval of the difference.
      high: Upper end of the confidence interval.
      p_value: Two-sided p-value of the permutation test of equal models.
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
    method: str | None = None,
    seed: int = 0,
) -> Comparison:
    """Paired bootstrap interval and permutation test of the difference of two models.

    For the interval, examples are resampled with replacement, and both models are
    evaluated on the same resamples. For the p-value, the outputs of the models are
    swapped at random for each example, which changes nothing if the models are equally
    good; p is the share of permutations whose difference δ* is as large as δ,
    (1 + #{|δ*| ≥ |δ|}) / (1 + permutations), or exactly #{|δ*| ≥ |δ|} / 2ᴺ if there are
    few enough to enumerate. Both cover the sampling of the test examples, and not the
    variance of training.

    Args:
      metric: ``metric(predictions, *shared)``, as all of `fdl.metrics`.
      first: Outputs of the first model, logits or predictions, [N, ...].
      second: Outputs of the second model in the same form, [N, ...].
      *shared: Labels or targets, and further arguments of the metric, each [N, ...].
      confidence: Confidence level of the interval.
      num_resamples: Number of resamples, and of permutations.
      method: Method of the interval; see `fdl.metrics.bootstrap.interval`.
      seed: Seed of the resampling and of the permutations.

    Raises:
      UserError: One of the outputs are logits and the others class indices, which
        cannot be swapped; and as `fdl.metrics.bootstrap.interval`.

    Example:
      >>> from fdl import metrics
      >>> labels = jnp.arange(8) % 2
      >>> result = compare(metrics.accuracy, labels, jnp.zeros(8, int), labels)
      >>> result.first, result.second, result.difference, result.p_value
      (1.0, 0.5, -0.5, 0.125)

    References:
      Good, `Permutation, Parametric, and Bootstrap Tests of Hypotheses
      <https://doi.org/10.1007/b138696>`_, 2005.
    """
    first, second = jnp.asarray(first), jnp.asarray(second)
    size = num_examples((first, second, *shared))
    _check_same_form(first, second)
    measure = of_indices(metric)

    def both(indices):
        return [measure((model, *shared), indices) for model in (first, second)]

    def difference(indices):
        first_values, second_values = both(indices)
        return second_values - first_values

    first_value, second_value = map(float, both(np.arange(size)))
    scale = max(abs(first_value), abs(second_value))
    interval = resampled(
        difference, size, confidence, num_resamples, method, seed, scale
    )
    swapped = _swapped_metric(metric, first, second, shared)
    swaps = _swaps(size, num_resamples, seed)
    # Where the second model has the outputs of some rows of the first, the first has
    # those of the second: its metric is that of the complement.
    differences = np.concatenate([swapped(rows) - swapped(~rows) for rows in swaps])
    # Differences that are equal in exact arithmetic may differ by rounding, but have to
    # count as equally large.
    tolerance = ROUNDING * scale
    as_large = np.sum(np.abs(differences) >= abs(interval.value) - tolerance)
    exact = differences.size == 2**size
    # Random permutations are counted along with the identity, so that p is never zero;
    # an enumeration contains the identity.
    p_value = (as_large + (not exact)) / (differences.size + (not exact))
    return Comparison(
        first_value,
        second_value,
        interval.value,
        interval.low,
        interval.high,
        float(p_value),
    )


class Changes(NamedTuple):
    """Examples that only one of two models classifies correctly.

    Attributes:
      gained: Indices of examples that only the second model has right, int [G].
      lost: Indices of examples that only the first model has right, int [L].
    """

    gained: np.ndarray
    lost: np.ndarray

    def p_value(self) -> float:
        """Two-sided p-value of McNemar's exact test.

        It is 2 P(X ≤ min(G, L)), at most 1, for a binomial X of G + L trials with
        probability ½, and equal to that of `compare` for accuracy if all permutations
        are enumerated.

        References:
          McNemar, `Note on the sampling error of the difference between correlated
          proportions or percentages <https://doi.org/10.1007/BF02295996>`_, 1947.
        """
        # Imported late: training waits for no statistics.
        from scipy import stats

        trials = self.gained.size + self.lost.size
        if not trials:
            return 1.0
        return float(stats.binomtest(self.gained.size, trials).pvalue)


def changes(first: Array, second: Array, labels: Array) -> Changes:
    """Examples that one model classifies correctly and the other does not.

    Args:
      first: Outputs of the first model, in one of the forms that `fdl.metrics.accuracy`
        takes, [N, ...].
      second: Outputs of the second model, [N, ...].
      labels: Class indices, int [N, ...]; an example with several labels is correct if
        all of them are.

    Raises:
      UserError: The shapes do not match.

    Example:
      >>> labels = jnp.array([0, 1, 0])
      >>> result = changes(jnp.array([0, 1, 1]), jnp.array([0, 0, 0]), labels)
      >>> result.gained, result.lost, result.p_value()
      (array([2]), array([1]), 1.0)
    """

    def is_correct(logits):
        predicted, actual, valid, _ = decide(logits, labels)
        correct = np.asarray((predicted == actual) & valid)
        return correct.reshape(len(correct), -1).all(axis=-1)

    before, after = is_correct(first), is_correct(second)
    return Changes(np.flatnonzero(~before & after), np.flatnonzero(before & ~after))


def _check_same_form(first, second):
    """Raises `UserError` if outputs of two models cannot be swapped for an example."""

    def form(x):
        kinds = jnp.floating, jnp.integer
        return x.shape, [jnp.issubdtype(x.dtype, kind) for kind in kinds]

    if form(first) != form(second):
        shown = ", ".join(f"{x.dtype} {list(x.shape)}" for x in (first, second))
        raise UserError(
            f"outputs {shown}: expected the same form, such as logits of both or class "
            "indices of both"
        )


def _swapped_metric(metric, first, second, shared):
    """Metric of the second model with some outputs of the first.

    Returns:
      Function of the examples whose outputs are swapped, bool [R, N], to [R].
    """

    def of_row(arrays, row):
        first, second, *shared = arrays
        # One bool per example, with an axis of size one for each further axis.
        swap = row.reshape(-1, *(1,) * (first.ndim - 1))
        return value_of(metric(jnp.where(swap, first, second), *shared))

    of_block = jax.jit(jax.vmap(of_row, in_axes=(None, 0)))
    arrays = [first, second, *map(jnp.asarray, shared)]
    function = functools.partial(of_block, arrays)
    return lambda rows: in_blocks(function, rows, width(arrays))


def _swaps(size, num_resamples, seed):
    """Blocks of permutations, bool [R, N]: all 2ᴺ if they are few, else random ones."""
    if 2**size <= num_resamples:
        yield np.array(list(itertools.product((False, True), repeat=size)))
        return
    random = np.random.default_rng(seed)
    for rows in blocks(num_resamples, size):
        yield random.integers(2, size=(rows, size), dtype=bool)
