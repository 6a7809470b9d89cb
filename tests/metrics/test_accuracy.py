import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from fdl import metrics
from fdl.errors import UserError

PROGRAMS = 300


def test_accuracy_equals_that_of_scikit_learn(cases):
    expected = [
        sklearn.accuracy_score(labels, logits.argmax(-1), sample_weight=weights)
        for logits, labels, weights in cases.rows()
    ]
    np.testing.assert_allclose(cases.of(metrics.accuracy), expected, rtol=1e-6)


def test_accuracy_of_one_logit_is_of_two_classes(yes_or_no):
    expected = [
        sklearn.accuracy_score(labels, logits >= 0, sample_weight=weights)
        for logits, labels, weights in yes_or_no.rows()
    ]
    np.testing.assert_allclose(yes_or_no.of(metrics.accuracy), expected, rtol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_accuracy_equals_that_of_scikit_learn(cases, k):
    expected = [
        sklearn.top_k_accuracy_score(
            labels, logits, k=k, labels=range(4), sample_weight=weights
        )
        for logits, labels, weights in cases.rows()
    ]
    actual = cases.of(metrics.top_k_accuracy, k=k)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_of_equal_logits_the_lowest_index_comes_first():
    logits = jnp.array(
        [[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], [0.25] * 4, [0.1, 0.6, 0.2, 0.1]]
    )
    labels = jnp.array([2, 3, 0, 1])
    for k, ours, theirs in [(1, 0.5, 0.25), (2, 0.75, 0.5), (3, 0.75, 0.5)]:
        assert metrics.top_k_accuracy(logits, labels, k=k).compute() == ours
        assert sklearn.top_k_accuracy_score(labels, logits, k=k) == theirs
        _, indices = jax.lax.top_k(logits, k)
        found = (indices == labels[:, None]).any(axis=-1)
        assert metrics.accuracy(found, jnp.ones(4, int)).compute() == ours
    assert metrics.accuracy(logits, labels).compute() == 0.5


@pytest.mark.parametrize("k", [0, 5])
def test_more_choices_than_classes_are_an_error(k):
    with pytest.raises(UserError, match=rf"k={k}: expected .* logits \[2, 4\]"):
        metrics.top_k_accuracy(jnp.zeros((2, 4)), jnp.zeros(2, int), k=k)


@pytest.mark.parametrize("shape", [(6,), (6, 5), (6, 5, 2)])
def test_parts_of_an_example_are_averaged_where_the_mask_is_of_examples(shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    mask = np.array([1.0, 0, 2, 1, 0.5, 0])
    expected = np.average(values.reshape(6, -1).mean(axis=-1), weights=mask)
    actual = jax.jit(metrics.mean)(values, mask).compute()
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_a_mask_of_parts_weighs_them_one_by_one():
    values = np.arange(6.0).reshape(2, 3)
    mask = np.array([[1, 1, 0], [1, 0, 0]])
    assert metrics.mean(values, mask).compute() == np.average(values, weights=mask)
    logits, labels = jnp.array([[1.0, -1, 1], [-1, 1, 1]]), jnp.ones((2, 3), int)
    actual = metrics.accuracy(logits, labels, jnp.asarray(mask)).compute()
    np.testing.assert_allclose(actual, 1 / 3, rtol=1e-6)


def test_half_precision_is_added_up_in_float32():
    values = jnp.full(1000, 1.0, jnp.bfloat16)
    assert metrics.mean(values).total == 1000  # 256 + 1 is 256 in bfloat16.
    assert metrics.mean(values, jnp.ones(1000, bool)) == (1000.0, 1000.0)


def test_what_is_masked_may_be_anything():
    values, mask = jnp.array([1.0, jnp.nan, jnp.inf]), jnp.array([1.0, 0, 0])
    assert metrics.mean(values, mask).compute() == 1.0
    grad = jax.grad(lambda v: metrics.mean(v, mask).compute())(values)
    np.testing.assert_array_equal(grad, [1, 0, 0])


def test_the_mean_of_nothing_is_not_a_number():
    assert np.isnan(metrics.mean(jnp.ones(3), jnp.zeros(3)).compute())


@pytest.mark.parametrize(
    "metric", [metrics.mean_absolute_error, metrics.root_mean_squared_error, metrics.r2]
)
@pytest.mark.parametrize("shape", [(0,), (0, 3)])
def test_an_empty_batch_is_merged_as_any_other(metric, shape):
    empty, numbers = (
        jnp.zeros(shape),
        jnp.arange(6.0).reshape(2, 3)[:, : shape[-1] or 1],
    )
    numbers = numbers if len(shape) > 1 else numbers[:, 0]
    nothing, some = metric(empty, empty), metric(2 * numbers, numbers)
    assert np.isnan(nothing.compute())
    assert jax.tree.map(jnp.add, nothing, some).compute() == some.compute()
