import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from fdl import metrics
from fdl.metrics.exact_counts import count, modulo, segment_sum

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
    many, one = (count(jnp.zeros(1, int), jnp.full(1, x), 1) for x in (2.0**24, 1.0))
    assert jnp.float32(2**24) + jnp.float32(1) == 2**24
    assert add(many, one, one, one).whole == 2**24 + 3


def exact(counts):
    """The sum that counts stand for, as a Python integer."""
    rounded = int(counts.approximate[0])
    return rounded + (int(counts.whole[0]) - rounded + 2**31) % 2**32 - 2**31


@pytest.mark.parametrize(
    "merges, weight",
    [(2**16, 2.0**24 - 1), (2**20, 12345.0), (5000, 1e6), (3, 3e9), (2**22, 1.0)],
)
def test_integral_weights_are_counted_exactly_beyond_two_to_the_31(merges, weight):
    @jax.jit
    def merged(weight):
        one = count(jnp.zeros(1, int), weight[None], 1)
        zero = jax.tree.map(jnp.zeros_like, one)
        return jax.lax.fori_loop(0, merges, lambda i, total: add(total, one), zero)

    found = merged(jnp.float32(weight))
    assert exact(found) == merges * int(weight)
    assert found.value() == np.float32(merges * int(weight))
    back = found.minus(merged(jnp.float32(weight)))
    assert exact(back) == back.value() == 0


@pytest.mark.parametrize(
    "number", [0, 5, 2**31, 2**32 - 256, 2**32, 3 * 2**33 + 2**20, 2**90, -1, -(2**31)]
)
def test_numbers_wrap_as_integers_do(number):
    assert (int(modulo(jnp.float32(number))) - number) % 2**32 == 0


def test_a_million_parts_add_up_in_one_call():
    groups = np.arange(10**6) % 3
    sums = jax.jit(segment_sum, static_argnums=2)(jnp.full(10**6, 0.1), groups, 2)
    expected = np.bincount(groups, np.full(10**6, np.float32(0.1), np.float64))[:2]
    np.testing.assert_allclose(sums, expected, rtol=2e-5)


@pytest.mark.parametrize("num_groups", [1, 3, 4000, 10**6])
def test_partial_sums_are_no_more_than_values_or_groups(num_groups):
    def total(values):
        return segment_sum(values, jnp.zeros(5000, jnp.int32), num_groups)

    made = jax.make_jaxpr(total)(jnp.ones(5000)).eqns
    sizes = [x.aval.size for equation in made for x in equation.outvars]
    assert max(sizes) <= max(5000, num_groups)


def test_weights_in_billions_equal_scikit_learn():
    chosen, labels = np.array([0, 1, 0, 0]), np.array([0, 1, 1, 0])
    f1 = functools.partial(metrics.f1, num_classes=2)
    expected = sklearn.f1_score(labels, chosen, average="macro")
    np.testing.assert_allclose(value(f1, chosen, labels, np.full(4, 1e9)), expected)
    random = np.random.default_rng(0)
    labels = (random.random(48_842) < 0.3).astype(int)
    scores = (random.normal(size=48_842) + labels).astype(np.float32)
    survey = random.integers(1, 2 * 190_000, 48_842).astype(np.float32)
    for metric, reference in [
        (metrics.roc_auc, sklearn.roc_auc_score),
        (metrics.average_precision, sklearn.average_precision_score),
    ]:
        expected = reference(labels, scores, sample_weight=survey.astype(np.float64))
        np.testing.assert_allclose(
            value(metric, scores, labels, survey), expected, rtol=2e-3
        )


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
@pytest.mark.some(5)
def test_a_label_that_is_no_class_is_seen_and_never_wraps(metric, wrong):
    labels = np.array([0, 1, 2, 1, wrong])
    assert np.isnan(value(metric, LOGITS, labels))
    # Masked, it may be anything.
    expected = value(metric, LOGITS[:4], labels[:4])
    actual = value(metric, LOGITS, labels, MASK)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.some(4)
def test_logits_that_are_no_numbers_are_seen(metric):
    logits, labels = LOGITS.copy(), np.array([0, 1, 2, 1, 1])
    logits[4, 1] = np.nan
    assert np.isnan(value(metric, logits, labels))
    expected = value(metric, logits[:4], labels[:4])
    actual = value(metric, logits, labels, MASK)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
