import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from fdl import metrics
from fdl.errors import UserError


def test_hamming_loss_and_subset_accuracy_equal_those_of_scikit_learn(several_labels):
    expected = [
        (
            sklearn.hamming_loss(labels, logits >= 0, sample_weight=weights),
            sklearn.accuracy_score(labels, logits >= 0, sample_weight=weights),
        )
        for logits, labels, weights in several_labels.rows()
    ]
    actual = (
        several_labels.of(metrics.hamming_loss),
        several_labels.of(metrics.subset_accuracy),
    )
    np.testing.assert_allclose(np.transpose(actual), expected, rtol=1e-6)


@pytest.mark.parametrize("metric", [metrics.hamming_loss, metrics.subset_accuracy])
def test_a_label_that_is_none_is_seen(metric):
    logits, labels = jnp.zeros((2, 3)), jnp.array([[0, 1, 2], [1, 1, 1]])
    assert np.isnan(metric(logits, labels).compute())
    assert not np.isnan(metric(logits, labels, jnp.array([0, 1])).compute())


@pytest.mark.parametrize("metric", [metrics.hamming_loss, metrics.subset_accuracy])
def test_one_label_for_each_example_is_an_error(metric):
    with pytest.raises(UserError, match="several labels per example"):
        metric(jnp.zeros((2, 3)), jnp.zeros(2, int))


@pytest.mark.parametrize("metric", [metrics.hamming_loss, metrics.subset_accuracy])
def test_one_nan_among_many_is_seen(metric):
    logits = jnp.ones((2000, 5)).at[7, 3].set(jnp.nan)
    assert np.isnan(jax.jit(metric)(logits, jnp.ones((2000, 5), int)).compute())
