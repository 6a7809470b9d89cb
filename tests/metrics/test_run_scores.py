"""Statistics over runs: held to loops over their definitions, and to scipy."""

import itertools

import numpy as np
import pytest
from scipy import stats

from fdl import metrics
from fdl.errors import UserError
from fdl.metrics import run_scores

SCORES = np.random.default_rng(0).normal(size=(11, 3)).round(1)
OTHERS = np.random.default_rng(1).normal(0.3, 1, size=(7, 3)).round(1)


def test_the_interquartile_mean_leaves_a_quarter_out_at_each_end():
    flat = np.sort(SCORES.ravel())
    cut = len(flat) // 4
    assert metrics.interquartile_mean(SCORES) == pytest.approx(flat[cut:-cut].mean())
    one = SCORES.copy()
    one[0, 0] = 1e9  # An outlier.
    assert abs(metrics.interquartile_mean(one)) < 1


def test_the_optimality_gap_counts_nothing_beyond_the_target():
    gaps = [max(0.5 - x, 0) for x in SCORES.ravel()]
    found = metrics.optimality_gap(SCORES, 0.5)
    assert found == pytest.approx(np.mean(gaps))


def test_the_probability_of_improvement_is_that_of_pairs_on_each_task():
    by_task = []
    for task in range(3):
        pairs = [*itertools.product(SCORES[:, task], OTHERS[:, task])]
        wins = sum(b > a for a, b in pairs) + sum(b == a for a, b in pairs) / 2
        by_task.append(wins / len(pairs))
        u = stats.mannwhitneyu(OTHERS[:, task], SCORES[:, task]).statistic
        assert by_task[-1] == pytest.approx(u / len(pairs))
    found = metrics.probability_of_improvement(SCORES, OTHERS)
    assert found == pytest.approx(np.mean(by_task))
    back = metrics.probability_of_improvement(OTHERS, SCORES)
    assert found + back == pytest.approx(1)


def test_a_performance_profile_is_the_share_of_runs_above():
    thresholds = np.linspace(-3, 3, 13).round(1)
    expected = [(t < SCORES).mean() for t in thresholds]
    np.testing.assert_allclose(
        metrics.performance_profile(SCORES, thresholds), expected
    )


def test_an_interval_resamples_runs_within_their_task():
    # Between tasks there is all of the variance: resampled across tasks, it would show.
    scores = np.array([[0.0, 100.0]] * 5)
    found = metrics.stratified_interval(run_scores.optimality_gap, scores)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)
    many = np.random.default_rng(2).normal(size=400)
    found = metrics.stratified_interval(np.mean, many, num_resamples=500)
    error = 1.96 * many.std() / 20
    assert found.value == pytest.approx(many.mean())
    np.testing.assert_allclose(
        [found.low, found.high], [found.value - error, found.value + error], atol=0.02
    )


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: metrics.interquartile_mean([]), r"scores.shape=\[0\]: expected \[R\]"),
        (lambda: metrics.optimality_gap(np.ones((2, 2, 2))), r"scores.shape=\[2, 2, 2"),
        (
            lambda: metrics.probability_of_improvement(SCORES, OTHERS[:, :2]),
            "scores of 3 and 2 tasks: expected the same",
        ),
        (
            lambda: metrics.stratified_interval(np.mean, [1.0], confidence=95),
            "confidence=95: expected a number between",
        ),
    ],
)
def test_what_cannot_be_is_one_line(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_compare_says_what_seeds_reach_and_which_is_better():
    from fdl.cli.compare_returns import returns_in_words

    lines = returns_in_words({"A": np.ones(4), "B": np.full(4, 2.0)})
    assert lines == [
        "A: interquartile mean of episode_return 1 (1 .. 1)",
        "B: interquartile mean of episode_return 2 (2 .. 2); better than A with "
        "probability 1 (1 .. 1)",
        "(95 % intervals of resampled seeds)",
    ]
    assert returns_in_words({}) == []
