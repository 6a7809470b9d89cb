import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from fdl import metrics
from fdl.errors import UserError

PROGRAMS = 270

TARGETS, PREDICTIONS = jnp.array([3, -0.5, 2, 7]), jnp.array([2.5, 0, 2, 8])
ERRORS = {
    "mean_absolute_error": 0.5,
    "mean_squared_error": 0.375,
    "mean_absolute_percentage_error": 0.3273810,
    "root_mean_squared_error": 0.6123724,
    "median_absolute_error": 0.5,
}
every_error = pytest.mark.parametrize("name", ERRORS)


def error(name):
    if name == "median_absolute_error":
        return metrics.exact.median_absolute_error
    return lambda *arrays: getattr(metrics, name)(*arrays).compute()


@every_error
def test_errors_equal_those_of_scikit_learn(numbers, name):
    expected = [
        getattr(sklearn, name)(targets, predictions, sample_weight=weights)
        for predictions, targets, weights in numbers.rows()
    ]
    actual = jax.jit(jax.vmap(error(name)))(*numbers)
    np.testing.assert_allclose(actual, expected, rtol=2e-6, atol=1e-7)


@every_error
@pytest.mark.some(2)
def test_errors_of_several_outputs_are_averaged(name):
    random = np.random.default_rng(0)
    predictions, targets = random.normal(size=(2, 9, 3))
    mask = random.integers(3, size=9)
    expected = getattr(sklearn, name)(targets, predictions, sample_weight=mask)
    actual = error(name)(predictions, targets, mask)
    np.testing.assert_allclose(actual, expected, rtol=2e-6)


@every_error
def test_the_known_errors(name):
    actual = error(name)(PREDICTIONS, TARGETS)
    np.testing.assert_allclose(actual, ERRORS[name], rtol=1e-6)


def test_the_known_weighted_error():
    weights = jnp.array([1.0, 2, 0, 1])
    actual = metrics.mean_absolute_error(PREDICTIONS, TARGETS, weights)
    assert actual.compute() == 0.625


@every_error
def test_what_is_masked_may_be_anything_and_all_may_be(name):
    predictions = PREDICTIONS.at[1].set(jnp.nan)
    mask = jnp.array([1.0, 0, 1, 1])
    expected = error(name)(PREDICTIONS, TARGETS, mask)
    assert error(name)(predictions, TARGETS, mask) == expected
    assert np.isnan(error(name)(predictions, TARGETS, jnp.zeros(4)))


def test_the_root_of_the_mean_is_not_the_mean_of_the_roots():
    parts = [
        metrics.root_mean_squared_error(PREDICTIONS[i:j], TARGETS[i:j])
        for i, j in [(0, 1), (1, 4)]
    ]
    merged = jax.tree.map(jnp.add, *parts).compute()
    np.testing.assert_allclose(merged, 0.6123724, rtol=1e-6)
    assert np.mean([part.compute() for part in parts]) < 0.58


def test_integers_are_numbers_and_half_precision_is_widened():
    assert metrics.mean_absolute_error(jnp.arange(3), jnp.zeros(3, int)).compute() == 1
    half = jnp.full(3, 1.0, jnp.bfloat16)
    squared = metrics.mean_squared_error(half, half + 2**-7)
    assert squared.compute() == 2**-14 and squared.total.dtype == jnp.float32


@every_error
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "float16", "bfloat16"])
@pytest.mark.some(4)
def test_narrow_numbers_equal_scikit_learn(name, dtype):
    targets = jnp.array([-128, 127, 3, 1, 100]).astype(dtype)
    predictions = jnp.array([127, -128, 2, 5, -100]).astype(dtype)
    expected = getattr(sklearn, name)(*map(np.float64, (targets, predictions)))
    np.testing.assert_allclose(error(name)(predictions, targets), expected, rtol=1e-6)


def test_a_median_with_numbers_that_are_none_is_none():
    predictions = PREDICTIONS.at[2:].set(jnp.nan)
    median = metrics.exact.median_absolute_error
    assert np.isnan(median(predictions, TARGETS))
    assert median(predictions, TARGETS, jnp.array([1, 1, 0, 0])) == 0.5
    assert np.isinf(median(PREDICTIONS.at[1:].set(jnp.inf), TARGETS))


@every_error
def test_shapes_that_differ_are_not_broadcast(name):
    message = r"predictions.shape=\[4, 1\], targets.shape=\[4\]: expected"
    with pytest.raises(UserError, match=message):
        error(name)(PREDICTIONS[:, None], TARGETS)


@every_error
def test_a_mask_of_another_shape_is_an_error(name):
    with pytest.raises(UserError, match=r"mask.shape=\[3\]"):
        error(name)(PREDICTIONS, TARGETS, jnp.ones(3))
