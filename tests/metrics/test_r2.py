import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from fdl import metrics

PROGRAMS = 120

TARGETS, PREDICTIONS = jnp.array([3, -0.5, 2, 7]), jnp.array([2.5, 0, 2, 8])
both = pytest.mark.parametrize(
    "metric, reference",
    [
        (metrics.r2, sklearn.r2_score),
        (metrics.explained_variance, sklearn.explained_variance_score),
    ],
)


@both
def test_scores_equal_those_of_scikit_learn(numbers, metric, reference):
    expected = [
        reference(
            targets.astype(np.float64),
            predictions.astype(np.float64),
            sample_weight=weights,
        )
        for predictions, targets, weights in numbers.rows()
    ]
    actual = numbers.of(metric)
    scale = 1 - np.asarray(expected)
    np.testing.assert_allclose((actual - expected) / (1 + scale), 0, atol=4e-6)
    assert 0 in expected and 1 in expected


@both
def test_several_outputs_are_averaged(metric, reference):
    random = np.random.default_rng(0)
    predictions, targets = random.normal(size=(2, 9, 3))
    mask = random.integers(3, size=9)
    expected = reference(targets, predictions, sample_weight=mask)
    actual = metric(predictions, targets, mask)
    np.testing.assert_allclose(actual.compute(), expected, rtol=1e-5)
    expected = reference(
        targets, predictions, sample_weight=mask, multioutput="raw_values"
    )
    np.testing.assert_allclose(actual.per_output(), expected, rtol=1e-5)


def test_the_known_scores():
    for metric, expected in [
        (metrics.r2, 0.9486081),
        (metrics.explained_variance, 0.9571735),
    ]:
        actual = metric(PREDICTIONS, TARGETS).compute()
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_r2_of_constant_targets_and_of_one_example():
    constant = jnp.full(3, 5.3)
    assert metrics.r2(constant, constant).compute() == 1
    assert metrics.r2(constant + 1, constant).compute() == 0
    assert metrics.explained_variance(constant + 1, constant).compute() == 1
    assert np.isnan(metrics.r2(constant[:1], constant[:1]).compute())
    masked = metrics.r2(constant, constant, jnp.array([1.0, 0, 0]))
    assert np.isnan(masked.compute())
    parts = [metrics.r2(constant[:1], constant[:1]), metrics.r2(constant, constant)]
    assert jax.tree.map(jnp.add, *parts).compute() == 1


@both
@pytest.mark.parametrize(
    "targets, predictions, expected",
    [
        ([1, 2, 3], [1, 2, np.nan], np.nan),
        ([1, 2, np.nan], [1, 2, 3], np.nan),
        ([2, 2, 2], [2, 2, np.nan], np.nan),  # Constant targets.
        ([2, 2, 2], [2, 2, np.inf], np.nan),
        ([1e20, 2e20, 3e20], [1, 2, 3], np.nan),  # Squares are infinite,
        ([1e-25, 2e-25, 3e-25], [3e-25, 2e-25, 0], np.nan),  # or zero.
        ([1, 2, 3], [1e20, -1e20, 0], -np.inf),
    ],
)
def test_what_cannot_be_summed_has_no_score(
    metric, reference, targets, predictions, expected
):
    del reference  # It refuses most of these.
    found = jax.jit(metric)(np.float32(predictions), np.float32(targets)).compute()
    np.testing.assert_equal(np.asarray(found), np.float32(expected))


@both
def test_nothing_has_no_score(metric, reference):
    del reference  # It refuses.
    assert np.isnan(metric(PREDICTIONS, TARGETS, jnp.zeros(4)).compute())


@both
@pytest.mark.parametrize(
    "distance, shift, tolerance",
    [(1, 0, 2e-6), (10, 0, 2e-4), (100, 0, 2e-2), (100, 100, 2e-6), (1e4, 1e4, 2e-6)],
)
def test_digits_are_kept_near_the_shift_and_lost_far_from_it(
    metric, reference, distance, shift, tolerance
):
    random = np.random.default_rng(0)
    targets = (random.normal(size=2048) + distance).astype(np.float32)
    predictions = (targets + random.normal(size=2048) / 2).astype(np.float32)
    metric = jax.jit(functools.partial(metric, shift=shift))
    parts = [
        metric(*x)
        for x in np.stack([predictions, targets]).reshape(2, 16, 128).swapaxes(0, 1)
    ]
    actual = jax.tree.map(lambda *leaves: sum(leaves), *parts).compute()
    expected = reference(targets.astype(np.float64), predictions.astype(np.float64))
    np.testing.assert_allclose(1 - actual, 1 - expected, rtol=tolerance)


def test_targets_too_far_from_the_shift_pass_for_constant():
    targets = jnp.array([1e6, 1e6 + 1, 1e6 + 2])
    assert metrics.r2(targets + 1, targets).compute() == 0
    assert metrics.r2(targets + 1, targets, shift=1e6).compute() == -0.5
