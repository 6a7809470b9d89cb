import functools

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fdl import metrics
from fdl.errors import UserError
from fdl.metrics import bootstrap
from fdl.metrics.resampling import of_indices

PROGRAMS = 140

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(3, size=60)
CHOSEN = np.where(RANDOM.random(60) < 0.8, LABELS, 0)


@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_interval_of_a_mean_equals_that_of_scipy(method, confidence):
    options = {"method": method, "confidence": confidence}
    actual = bootstrap.interval(metrics.accuracy, CHOSEN, LABELS, **options)
    expected = stats.bootstrap(
        ((CHOSEN == LABELS) * 1.0,),
        np.mean,
        n_resamples=2000,
        confidence_level=confidence,
        method=method,
        rng=0,
    ).confidence_interval
    np.testing.assert_allclose(actual[1:3], expected, atol=1e-6)
    np.testing.assert_allclose(actual.value, np.mean(CHOSEN == LABELS), rtol=1e-6)
    assert actual.undefined == 0


def test_a_metric_that_is_no_mean_is_resampled_whole():
    metric = functools.partial(metrics.f1, num_classes=3)
    options = {"num_resamples": 200, "method": "percentile"}
    actual = bootstrap.interval(metric, CHOSEN, LABELS, **options)
    rows = np.random.default_rng(0).integers(60, size=(200, 60))
    values = [metric(CHOSEN[row], LABELS[row]).compute() for row in rows[:20]]
    resampled = of_indices(metric)((CHOSEN, LABELS), rows)
    np.testing.assert_allclose(resampled[:20], values, rtol=1e-6)
    expected = np.quantile(resampled, [0.025, 0.975])
    np.testing.assert_allclose(actual[1:3], expected, rtol=1e-6)


def test_the_memory_of_resamples_is_bounded(monkeypatch):
    whole = bootstrap.interval(metrics.accuracy, CHOSEN, LABELS, num_resamples=101)
    shapes = set()

    def accuracy(chosen, labels):
        shapes.add(chosen.shape)
        return metrics.accuracy(chosen, labels)

    monkeypatch.setattr("fdl.metrics.resampling.NUMBERS_AT_ONCE", 7 * 60 * 2)
    blocks = bootstrap.interval(accuracy, CHOSEN, LABELS, num_resamples=101)
    assert blocks == whole
    assert shapes == {(60,), (59,)}  # Resamples, and those of the jackknife.


def test_resamples_without_a_value_are_left_out_and_told():
    scores, labels = np.arange(20.0), np.arange(20) == 19
    found = bootstrap.interval(metrics.exact.roc_auc, scores, labels)
    np.testing.assert_allclose(found.undefined, (1 - 1 / 20) ** 20, atol=0.03)
    assert found[:3] == (1, 1, 1)


def test_where_all_are_right_there_is_no_doubt_to_see():
    for method in ("percentile", "basic", "bca"):
        found = bootstrap.interval(metrics.accuracy, LABELS, LABELS, method=method)
        assert found == (1, 1, 1, 0)


def test_the_seed_decides_the_drawing():
    first, again, other = (
        bootstrap.interval(metrics.accuracy, CHOSEN[:9], LABELS[:9], seed=seed)
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first.value == other.value


@pytest.mark.parametrize(
    "arrays, options, message",
    [
        ((CHOSEN, LABELS[1:]), {}, r"shapes \[60\], \[59\]: expected"),
        ((CHOSEN[:0], LABELS[:0]), {}, r"shapes \[0\], \[0\]: expected"),
        ((CHOSEN, LABELS), {"method": "bayes"}, "method='bayes': expected"),
        ((CHOSEN, LABELS), {"confidence": 95}, "confidence=95: expected"),
        ((CHOSEN, LABELS), {"num_resamples": 0}, "num_resamples=0: expected"),
        ((CHOSEN, LABELS, np.zeros(60)), {}, "the metric is NaN"),
    ],
)
def test_what_makes_no_sense_is_an_error(arrays, options, message):
    with pytest.raises(UserError, match=message):
        bootstrap.interval(metrics.accuracy, *arrays, **options)


def test_an_interval_that_is_not_defined_is_an_error():
    scores, labels = jnp.arange(12.0) * 5 % 7, jnp.arange(12) == 2
    with pytest.raises(UserError, match="method='bca': expected 'percentile'"):
        bootstrap.interval(metrics.exact.roc_auc, scores, labels, method="bca")


@pytest.mark.parametrize(
    "size, num_resamples, method",
    [(60, 60, "bca"), (60, 59, "percentile"), (12, 60, "percentile")],
)
def test_few_examples_are_corrected_where_that_is_defined(size, num_resamples, method):
    metric, scores, labels = metrics.exact.roc_auc, np.arange(60.0) * 5 % 7, LABELS > 0
    if size == 12:  # One positive: without it there is no area, and so no jackknife.
        scores, labels = scores[:12], np.arange(12) == 2
    options = {"num_resamples": num_resamples, "seed": 3}
    found, expected = (
        bootstrap.interval(metric, scores, labels, **options, method=x)
        for x in (None, method)
    )
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_intervals_have_the_true_value_in_them_as_often_as_they_say(method):
    random = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        errors = random.normal(size=80)
        found = bootstrap.interval(
            metrics.mean_squared_error,
            errors,
            np.zeros(80),
            num_resamples=500,
            method=method,
            confidence=0.9,
            seed=trial,
        )
        hits += found.low <= 1 <= found.high
    # Two standard errors of 200 trials, and one percent that small samples cost.
    assert 0.9 - 0.05 <= hits / 200 <= 0.9 + 0.045
