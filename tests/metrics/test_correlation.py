import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from fdl import metrics

PROGRAMS = 140

CHOSEN = np.array([0, 0, 1, 1, 1, 0, 1, 3, 1, 0])
LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 0, 1, 2])


def test_matthews_correlation_equals_that_of_scikit_learn(cases):
    expected = [
        sklearn.matthews_corrcoef(labels, logits.argmax(-1), sample_weight=weights)
        for logits, labels, weights in cases.rows()
    ]
    actual = cases.of(metrics.matthews_correlation)
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    assert 0 in expected  # All labels or all choices are the same.


def test_balanced_accuracy_equals_that_of_scikit_learn(cases):
    expected = [
        sklearn.balanced_accuracy_score(
            labels, logits.argmax(-1), sample_weight=weights
        )
        for logits, labels, weights in cases.rows()
    ]
    actual = cases.of(metrics.balanced_accuracy)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_the_known_case_of_classes_that_are_missing():
    matthews = metrics.matthews_correlation(CHOSEN, LABELS, num_classes=5)
    np.testing.assert_allclose(matthews.compute(), 0.3070914, atol=1e-7)
    balanced = metrics.balanced_accuracy(CHOSEN, LABELS, num_classes=5)
    assert balanced.compute() == 0.5


@pytest.mark.parametrize(
    "counts", [[9_999_000, 400, 500, 100], [123_456, 9, 8, 60_000_000], [5, 7, 9, 11]]
)
def test_the_correlation_keeps_its_digits_where_one_class_is_rare(counts):
    neither, false_alarms, missed, hits = map(float, counts)
    chosen, labels = jnp.array([0, 1, 0, 1]), jnp.array([0, 0, 1, 1])
    parts = [
        metrics.matthews_correlation(c[None], y[None], num_classes=2)
        for c, y in zip(chosen, labels, strict=True)
    ]
    many = [
        jax.tree.map(lambda leaf, n=n: leaf * n, p)
        for p, n in zip(parts, counts, strict=True)
    ]
    actual = jax.tree.map(lambda *leaves: sum(leaves), *many).compute()
    expected = (hits * neither - false_alarms * missed) / np.sqrt(
        (hits + false_alarms)
        * (hits + missed)
        * (neither + false_alarms)
        * (neither + missed)
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_one_class_alone_has_no_correlation_whatever_the_weights():
    labels, constant = np.arange(60) % 4, np.zeros(60, int)

    def correlation(weights):
        options = {"mask": weights, "num_classes": 4}
        return metrics.matthews_correlation(constant, labels, **options).compute()

    weights = np.random.default_rng(0).integers(1, 9, (20, 60)).astype(np.float32)
    found = jax.jit(jax.vmap(correlation))(weights / 10)
    np.testing.assert_allclose(found, 0, atol=2e-4)
