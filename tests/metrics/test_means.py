import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from fdl import metrics

RANDOM = np.random.default_rng(0)


def merged(parts):
    return jax.tree.map(lambda *x: sum(x), *parts).compute()


@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 9]])
@pytest.mark.parametrize("masked", [False, True])
def test_metrics_are_exact_over_uneven_batches_and_masks(cuts, masked):
    logits, labels = RANDOM.normal(size=(10, 3)), RANDOM.integers(3, size=10)
    x, y = RANDOM.normal(size=(2, 10))
    mask = (np.arange(10) % 3 > 0) * 1.0 if masked else np.ones(10)
    parts = [np.split(array, cuts) for array in (logits, labels, x, y, mask)]
    accuracies, errors = [], []
    for some_logits, some_labels, some_x, some_y, weights in zip(*parts, strict=True):
        given = jnp.asarray(weights) if masked else None
        accuracies.append(
            jax.jit(metrics.accuracy)(some_logits, some_labels, mask=given)
        )
        errors.append(metrics.mean_absolute_error(some_x, some_y, mask=given))
    expected = sklearn.accuracy_score(labels, logits.argmax(-1), sample_weight=mask)
    np.testing.assert_allclose(merged(accuracies), expected, rtol=1e-6)
    expected = sklearn.mean_absolute_error(y, x, sample_weight=mask)
    np.testing.assert_allclose(merged(errors), expected, rtol=1e-5)


def test_the_known_weighted_error():
    y, predicted = jnp.array([3, -0.5, 2, 7]), jnp.array([2.5, 0, 2, 8])
    assert metrics.mean_absolute_error(predicted, y).compute() == 0.5
    weights = jnp.array([1.0, 2, 0, 1])
    assert metrics.mean_absolute_error(predicted, y, weights).compute() == 0.625


def test_what_is_masked_may_be_anything():
    values, mask = jnp.array([1.0, jnp.nan, jnp.inf]), jnp.array([1.0, 0, 0])
    assert metrics.mean(values, mask).compute() == 1.0
    grad = jax.grad(lambda v: metrics.mean(v, mask).compute())(values)
    np.testing.assert_array_equal(grad, [1, 0, 0])


def test_the_mean_of_nothing_is_not_a_number():
    assert np.isnan(metrics.mean(jnp.ones(3), jnp.zeros(3)).compute())
