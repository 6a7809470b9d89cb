"""Comparisons over seeds and folds, beside SciPy and by their definitions."""

import itertools

import numpy as np
import pytest
from scipy import stats

from fdl.errors import UserError
from fdl.metrics.replicate_comparison import holm, over_folds, over_seeds

RANDOM = np.random.default_rng(0)
FIRST, SECOND, LONGER = (RANDOM.normal(size=n) for n in (5, 5, 8))


def check(result, expected, first, second):
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(
        result,
        [
            first.mean(),
            second.mean(),
            second.mean() - first.mean(),
            interval.low,
            interval.high,
            expected.pvalue,
        ],
        rtol=1e-9,
    )


def test_equal_seeds_are_pairs():
    expected = stats.ttest_rel(SECOND, FIRST)
    check(over_seeds(FIRST, SECOND), expected, FIRST, SECOND)


@pytest.mark.parametrize("second", [SECOND, LONGER], ids=["as many", "more"])
def test_other_seeds_are_two_samples(second):
    expected = stats.ttest_ind(second, FIRST, equal_var=False)
    check(over_seeds(FIRST, second, paired=False), expected, FIRST, second)


def test_folds_are_compared_with_the_corrected_variance():
    result = over_folds(FIRST, SECOND)
    difference = SECOND - FIRST
    # Of five folds, four train and one tests.
    error = np.sqrt(difference.var(ddof=1) * (1 / 5 + 1 / 4))
    half = stats.t.ppf(0.975, 4) * error
    p_value = 2 * stats.t.sf(abs(difference.mean()) / error, 4)
    expected = [difference.mean() - half, difference.mean() + half, p_value]
    np.testing.assert_allclose(result[3:], expected, rtol=1e-9)
    assert result.p_value > over_seeds(FIRST, SECOND).p_value


def test_folds_without_a_difference_seldom_seem_different():
    """Folds of a mean, whose estimates share most of their data, in 2,000 samples."""
    data = np.random.default_rng(1).normal(size=(2000, 2, 50))
    parts = data.reshape(2000, 2, 5, 10)
    sums = parts.sum(axis=-1)
    # The error of a mean that is learnt on four folds, tested on the fifth.
    learnt = (sums.sum(axis=-1, keepdims=True) - sums) / 40
    errors = ((parts - learnt[..., None]) ** 2).mean(axis=-1)
    false_alarms = np.mean([over_folds(*pair).p_value < 0.05 for pair in errors])
    plain = np.mean([over_seeds(*pair).p_value < 0.05 for pair in errors])
    assert false_alarms < 0.05 and false_alarms < plain


@pytest.mark.parametrize("test", [over_seeds, over_folds])
def test_equal_runs_do_not_differ_and_a_diverged_one_has_no_interval(test):
    assert test(FIRST, FIRST)[2:] == (0, 0, 0, 1)
    assert test([1.0, 2.0], [2.0, 3.0])[2:] == (1, 1, 1, 0)
    for value in np.nan, np.inf:
        assert np.isnan(test(FIRST, [*SECOND[:4], value])[3:]).all()


@pytest.mark.parametrize("first, second", [([1], [2]), ([1, 2], [1, 2, 3]), (1, [1])])
def test_what_cannot_be_paired_is_refused(first, second):
    for test in (over_seeds, over_folds):
        with pytest.raises(UserError, match="expected"):
            test(first, second)


def test_holm_is_the_closure_of_bonferroni():
    p = np.random.default_rng(2).uniform(0, 0.3, size=5)
    subsets = [s for n in range(1, 6) for s in itertools.combinations(range(5), n)]
    expected = [
        max(min(1.0, len(s) * p[[*s]].min()) for s in subsets if i in s)
        for i in range(5)
    ]
    np.testing.assert_allclose(holm(p), expected)
    np.testing.assert_allclose(holm([0.02, np.nan, 0.04]), [0.04, np.nan, 0.04])
