import numpy as np
import pytest
from scipy import stats

from fdl.metrics.t_interval import interval, range_of


@pytest.mark.parametrize("size", [2, 3, 5, 30])
def test_interval_is_that_of_student(size):
    values = np.random.default_rng(size).normal(3, 2, size)
    mean, error, *ends = interval(values)
    low, high = stats.t.interval(0.95, size - 1, values.mean(), stats.sem(values))
    np.testing.assert_allclose([mean, error], [values.mean(), stats.sem(values)])
    np.testing.assert_allclose(ends, [low, high])


def test_a_single_seed_has_no_interval():
    assert interval([2.0])[0] == 2.0
    assert np.isnan([*interval([2.0])[1:], *interval([])]).all()


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e200, 1e307])
def test_an_interval_of_extreme_numbers_is_that_of_usual_ones_scaled(scale):
    values = np.array([1.0, 2.0, 4.0])
    expected = [scale * x for x in interval(values)]
    np.testing.assert_allclose(interval(scale * values), expected, rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_interval_of_what_is_not_finite_is_not_either(value):
    assert not np.isfinite(interval([1.0, value]).mean)
    assert np.isnan(interval([1.0, value]).error)


FOLDS = [0.93, 0.97, 0.99]


@pytest.mark.parametrize(
    "metric, values, cut",
    [
        ("accuracy", FOLDS, (False, True)),
        ("cnn/top_5_accuracy", FOLDS, (False, True)),
        ("r2", [-5.0, 0.9, 0.95], (False, True)),
        ("matthews_correlation", [-0.99, 0.5, 0.99], (True, True)),
        ("digits/mae", [0.1, 0.1, 2.0], (True, False)),
        ("brier_score", [0.01, 0.01, 0.2], (True, False)),
        ("bleu", [2.0, 4.0, 40.0], (True, False)),
        ("accuracy", [93.0, 97.0, 99.0], (False, False)),  # In per cent.
        ("accuracy_gap", FOLDS, (False, False)),
        ("loss", FOLDS, (False, False)),
        ("", FOLDS, (False, False)),
    ],
)
def test_an_interval_stays_within_the_range_of_its_metric(metric, values, cut):
    size = len(values)
    student = stats.t.interval(0.95, size - 1, np.mean(values), stats.sem(values))
    bounds = range_of(metric)
    expected = [b if c else x for b, c, x in zip(bounds, cut, student, strict=True)]
    np.testing.assert_allclose(interval(values, metric)[2:], expected)
