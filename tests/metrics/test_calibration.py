import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.calibration import calibration_curve

from fdl import metrics
from fdl.errors import UserError

PROGRAMS = 260

RANDOM = np.random.default_rng(0)


def examples(num_classes, size=400):
    shape = (size, num_classes) if num_classes else (size,)
    logits = RANDOM.normal(scale=2, size=shape).astype(np.float32)
    labels = RANDOM.integers(num_classes or 2, size=size)
    if not num_classes:
        return logits, labels, expit(logits.astype(np.float64)), labels
    probabilities = softmax(logits.astype(np.float64), axis=-1)
    right = (probabilities.argmax(-1) == labels).astype(int)
    return logits, labels, probabilities.max(-1), right


@functools.partial(jax.jit, static_argnames="num_bins")
def computed(*arrays, **options):
    metric = metrics.calibration_error(*arrays, **options)
    return metric.curve(), metric.maximum(), metric.compute()


@pytest.mark.parametrize("num_classes", [0, 2, 10])
@pytest.mark.parametrize("num_bins", [1, 5, 15])
def test_the_diagram_equals_that_of_scikit_learn(num_classes, num_bins):
    logits, labels, confidence, right = examples(num_classes)
    actual, maximum, error = computed(logits, labels, num_bins=num_bins)
    accuracies, confidences = calibration_curve(right, confidence, n_bins=num_bins)
    actual = np.stack(actual)
    filled = actual[2] > 0
    np.testing.assert_allclose(actual[0][filled], confidences, rtol=1e-5)
    np.testing.assert_allclose(actual[1][filled], accuracies, atol=1e-6)
    gaps = np.abs(accuracies - confidences)
    np.testing.assert_allclose(maximum, gaps.max(), rtol=1e-4, atol=1e-6)
    expected = np.average(gaps, weights=actual[2][filled])
    np.testing.assert_allclose(error, expected, rtol=1e-5, atol=1e-6)


def test_weights_count_as_repetitions():
    logits, labels, *_ = examples(3, size=30)
    weights = RANDOM.integers(4, size=30)
    *_, weighted = computed(logits, labels, weights.astype(np.float32))
    *_, repeated = computed(logits.repeat(weights, axis=0), labels.repeat(weights))
    np.testing.assert_allclose(weighted, repeated, rtol=1e-6)


def test_forecasts_that_come_true_as_often_as_they_say_have_no_error():
    probability = np.float32([0.25] * 4 + [0.75] * 4)
    logits = np.log(probability / (1 - probability))
    labels = np.array([1, 0, 0, 0, 1, 1, 1, 0])
    curve, _, error = computed(logits, labels, num_bins=4)
    np.testing.assert_allclose(error, 0, atol=1e-7)
    np.testing.assert_array_equal(curve[2], [4, 0, 4, 0])


def test_bins_are_closed_on_the_right():
    edge = np.log(np.float32([[0.5, 0.5]]))
    curve, *_ = computed(edge, np.array([0]), num_bins=2)
    np.testing.assert_array_equal(curve[2], [1, 0])


def test_the_class_is_that_of_the_accuracy_where_probabilities_round_to_equal():
    logits, labels = np.float32([[0, 1e-9, 0], [0, 0, 1e-9]]), np.array([1, 2])
    _, rate, weight = metrics.calibration_error(logits, labels).curve()
    assert metrics.accuracy(logits, labels).compute() == rate[np.argmax(weight)] == 1


def test_a_million_equal_answers_add_up():
    logits, labels = np.full(10**6, 2.0, np.float32), np.arange(10**6) % 4 > 0
    confidence, rate, _ = metrics.calibration_error(logits, labels).curve()
    np.testing.assert_allclose(confidence[13], expit(2), rtol=1e-5)
    np.testing.assert_allclose(rate[13], 0.75, rtol=1e-5)


def test_nothing_has_no_error():
    _, *found = computed(np.zeros((2, 3)), np.zeros(2, int), np.zeros(2))
    assert np.isnan(found).all()


def test_no_bins_are_an_error():
    with pytest.raises(UserError, match="num_bins=0: expected"):
        metrics.calibration_error(jnp.zeros((2, 3)), jnp.zeros(2, int), num_bins=0)
