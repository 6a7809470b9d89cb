import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fdl import metrics
from fdl.errors import UserError
from fdl.metrics import bootstrap, paired_comparison

PROGRAMS = 130

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(3, size=50)
FIRST, SECOND = (
    np.where(RANDOM.random(50) < share, LABELS, (LABELS + 1) % 3)
    for share in (0.6, 0.85)
)


def test_mcnemar_by_hand():
    # Eight against one: 2 (C(9, 0) + C(9, 1)) / 2⁹.
    found = paired_comparison.Changes(np.arange(8), np.arange(1))
    np.testing.assert_allclose(found.p_value(), 20 / 512)
    # Ten against two: 2 (1 + 12 + 66) / 2¹².
    found = paired_comparison.Changes(np.arange(2), np.arange(10))
    np.testing.assert_allclose(found.p_value(), 158 / 4096)
    assert paired_comparison.Changes(np.arange(3), np.arange(3)).p_value() == 1
    assert paired_comparison.Changes(np.arange(0), np.arange(0)).p_value() == 1


def test_all_swaps_of_accuracy_are_the_exact_test_of_mcnemar():
    labels = np.ones(10, int)
    first, second = np.zeros(10, int), np.ones(10, int)
    first[9], second[8], second[9] = 1, 0, 0  # Eight gained, one lost, one neither.
    changes = paired_comparison.changes(first, second, labels)
    np.testing.assert_array_equal(changes.gained, np.arange(8))
    np.testing.assert_array_equal(changes.lost, [9])
    found = paired_comparison.compare(metrics.accuracy, first, second, labels)
    np.testing.assert_allclose(found.p_value, 20 / 512)
    np.testing.assert_allclose(found.p_value, changes.p_value())
    np.testing.assert_allclose(found[:3], [0.1, 0.8, 0.7], rtol=1e-6)


def test_some_swaps_of_accuracy_come_close_to_the_exact_test():
    found = paired_comparison.compare(
        metrics.accuracy, FIRST, SECOND, LABELS, num_resamples=20_000
    )
    expected = paired_comparison.changes(FIRST, SECOND, LABELS).p_value()
    error = np.sqrt(expected / 20_000)
    np.testing.assert_allclose(found.p_value, expected, atol=4 * error)


@pytest.mark.parametrize("size, num_resamples", [(9, 1000), (40, 5000)])
def test_swaps_equal_those_of_scipy(size, num_resamples):
    targets, *noise = np.random.default_rng(1).normal(size=(3, size))
    first, second = targets + noise[0], targets + 1.5 * noise[1]
    found = paired_comparison.compare(
        metrics.mean_absolute_error, first, second, targets, num_resamples=num_resamples
    )
    expected = stats.permutation_test(
        (np.abs(noise[0]), np.abs(1.5 * noise[1])),
        lambda x, y, axis: np.mean(y, axis=axis) - np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=num_resamples,
        rng=0,
    )
    np.testing.assert_allclose(found.difference, expected.statistic, rtol=1e-5)
    exact = 2**size <= num_resamples
    error = 0 if exact else np.sqrt(expected.pvalue / num_resamples)
    np.testing.assert_allclose(
        found.p_value, expected.pvalue, rtol=1e-6, atol=5 * error
    )


def test_the_interval_is_that_of_paired_differences():
    found = paired_comparison.compare(metrics.accuracy, FIRST, SECOND, LABELS)
    expected = stats.bootstrap(
        ((SECOND == LABELS) * 1.0 - (FIRST == LABELS),),
        np.mean,
        n_resamples=2000,
        method="BCa",
        rng=0,
    ).confidence_interval
    np.testing.assert_allclose([found.low, found.high], expected, atol=1e-6)
    apart = [bootstrap.interval(metrics.accuracy, x, LABELS) for x in (FIRST, SECOND)]
    np.testing.assert_allclose(found[:2], [x.value for x in apart])


@pytest.mark.parametrize(
    "metric",
    [
        functools.partial(metrics.f1, average="macro"),
        pytest.param(metrics.exact.roc_auc, marks=pytest.mark.slow),
        metrics.log_loss,
    ],
)
def test_a_metric_of_logits_is_compared_whole(metric):
    key = jax.random.key(0)
    logits = jax.random.normal(key, (2, 50, 3))
    first, second = logits + 0.3 * jax.nn.one_hot(LABELS, 3)[None]
    found = paired_comparison.compare(metric, first, second, LABELS, num_resamples=300)
    back = paired_comparison.compare(metric, second, first, LABELS, num_resamples=300)
    np.testing.assert_allclose(found.difference, -back.difference, rtol=1e-6)
    np.testing.assert_allclose((found.low, found.high), (-back.high, -back.low))
    np.testing.assert_allclose(found.p_value, back.p_value)
    np.testing.assert_allclose(found.difference, found.second - found.first, atol=1e-6)


def test_a_model_is_as_good_as_itself():
    found = paired_comparison.compare(metrics.accuracy, FIRST, FIRST, LABELS)
    assert found[2:] == (0, 0, 0, 1)
    changes = paired_comparison.changes(FIRST, FIRST, LABELS)
    assert changes.gained.size == changes.lost.size == 0


def test_padding_does_not_count():
    mask = np.arange(50) < 30
    found = paired_comparison.compare(metrics.accuracy, FIRST, SECOND, LABELS, mask)
    np.testing.assert_allclose(found.first, np.mean((FIRST == LABELS)[:30]), rtol=1e-6)


def test_an_example_of_many_labels_is_right_if_all_are():
    labels = jnp.zeros((3, 2), int)
    first = jnp.array([[0, 1], [0, 0], [1, 1]])
    second = jnp.array([[0, 0], [0, 1], [1, 0]])
    changes = paired_comparison.changes(first, second, labels)
    assert (changes.gained.tolist(), changes.lost.tolist()) == ([0], [1])


def test_examples_that_are_not_the_same_are_an_error():
    with pytest.raises(UserError, match=r"shapes \[50\], \[49\], \[50\]: expected"):
        paired_comparison.compare(metrics.accuracy, FIRST, SECOND[1:], LABELS)
    with pytest.raises(UserError, match=r"labels.shape=\[50\]: expected"):
        paired_comparison.changes(FIRST, SECOND[1:], LABELS)


def test_outputs_of_two_forms_cannot_be_swapped():
    logits = np.eye(3, dtype=np.float32)[SECOND]
    for first, second in [(FIRST, logits), (logits, FIRST), (FIRST, 1.0 - FIRST)]:
        with pytest.raises(UserError, match=r"outputs .* expected the same form"):
            paired_comparison.compare(metrics.accuracy, first, second, LABELS)
    found = paired_comparison.compare(metrics.accuracy, FIRST, SECOND, LABELS)
    narrow = FIRST.astype(np.uint8), SECOND
    assert paired_comparison.compare(metrics.accuracy, *narrow, LABELS) == found


@pytest.mark.slow
def test_models_that_are_equally_good_seldom_differ():
    random = np.random.default_rng(0)
    targets = np.zeros(60)
    p_values = []
    for trial in range(200):
        first, second = random.normal(size=(2, 60))
        found = paired_comparison.compare(
            metrics.mean_squared_error,
            first,
            second,
            targets,
            num_resamples=300,
            seed=trial,
        )
        p_values.append(found.p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
