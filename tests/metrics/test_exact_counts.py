import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import metrics
from fdl.metrics.exact_counts import Counts, count

PROGRAMS = 540


def add(*parts):
    return jax.tree.map(lambda *leaves: sum(leaves), *parts)


@functools.partial(jax.jit, static_argnums=0)
def value(metric, *arrays):
    return metric(*arrays).compute()


def test_counts_equal_those_of_numpy():
    random = np.random.default_rng(0)
    groups = random.integers(6, size=(20, 5))  # The last group is left out.
    weights = random.integers(12, size=(20, 5)).astype(np.float32) / 4
    actual = jax.jit(count, static_argnums=2)(groups, weights, 5).value()
    expected = np.bincount(groups.ravel(), weights.ravel())[:5]
    np.testing.assert_array_equal(actual, expected)


def test_nothing_is_lost_where_a_float_would_stop_counting():
    many = Counts(jnp.full(1, 2**24, jnp.int32), jnp.zeros(1))
    one = count(jnp.zeros(1, int), jnp.ones(1), 1)
    assert jnp.float32(2**24) + jnp.float32(1) == 2**24
    assert add(many, one, one, one).whole == 2**24 + 3


def test_the_confusion_matrix_keeps_rare_mistakes_among_very_many_examples():
    labels, chosen = jnp.array([0, 0, 1]), jnp.array([0, 1, 1])
    table = metrics.confusion_matrix(chosen, labels, num_classes=2)
    large = jax.tree.map(lambda x: x * 30_000_000, table)
    merged = add(large, table)
    np.testing.assert_array_equal(
        merged.counts.whole, [[30_000_001, 30_000_001], [0, 30_000_001]]
    )


def test_weights_that_are_not_whole_count_too():
    weights = jnp.array([0.25, 2.5, 1.0])
    found = count(jnp.array([0, 0, 1]), weights, 2)
    np.testing.assert_array_equal(found.whole, [2, 1])
    np.testing.assert_array_equal(found.value(), [2.75, 1])


LOGITS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
MASK = np.array([1.0, 1, 1, 1, 0], np.float32)
METRICS = [
    metrics.accuracy,
    metrics.average_precision,
    metrics.balanced_accuracy,
    metrics.brier_score,
    metrics.calibration_error,
    metrics.cohen_kappa,
    metrics.confusion_matrix,
    metrics.f1,
    metrics.log_loss,
    metrics.matthews_correlation,
    metrics.precision,
    metrics.recall,
    metrics.roc_auc,
    lambda *arrays: metrics.top_k_accuracy(*arrays, k=2),
    lambda *arrays: metrics.f1(*arrays, average="micro"),
    lambda *arrays: metrics.f1(*arrays, average="weighted", zero_division=jnp.nan),
]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("wrong", [-1, 3, -100])
def test_a_label_that_is_no_class_is_seen_and_never_wraps(metric, wrong):
    labels = np.array([0, 1, 2, 1, wrong])
    assert np.isnan(value(metric, LOGITS, labels))
    # Masked, it may be anything.
    expected = value(metric, LOGITS[:4], labels[:4])
    actual = value(metric, LOGITS, labels, MASK)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_logits_that_are_no_numbers_are_seen(metric):
    logits, labels = LOGITS.copy(), np.array([0, 1, 2, 1, 1])
    logits[4, 1] = np.nan
    assert np.isnan(value(metric, logits, labels))
    expected = value(metric, logits[:4], labels[:4])
    actual = value(metric, logits, labels, MASK)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
