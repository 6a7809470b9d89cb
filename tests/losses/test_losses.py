import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from fdl import losses

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 5)])
def test_cross_entropy_is_the_negative_log_of_the_softmax(shape):
    logits = RANDOM.normal(scale=3, size=shape).astype(np.float32)
    labels = RANDOM.integers(shape[-1], size=shape[:-1])
    log_probs = log_softmax(logits.astype(np.float64), axis=-1)
    expected = -np.take_along_axis(log_probs, labels[..., None], axis=-1).squeeze(-1)
    actual = jax.jit(losses.cross_entropy)(logits, labels)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "logits, label, expected",
    [([1e4, 0, 0], 0, 0.0), ([1e4, 0, 0], 1, 1e4), ([-1e4, 0, 0], 1, np.log(2))],
)
def test_cross_entropy_is_stable_with_large_logits(logits, label, expected):
    loss, grad = jax.value_and_grad(losses.cross_entropy)(
        jnp.array(logits), jnp.array(label)
    )
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert np.isfinite(grad).all()


@pytest.mark.parametrize("label", [-1, -100, 3, 7])
def test_a_label_that_is_no_class_is_not_a_number(label):
    assert np.isnan(losses.cross_entropy(jnp.zeros((1, 3)), jnp.array([label])))


def test_cross_entropy_computes_half_precision_in_float32():
    logits = RANDOM.normal(size=(4, 100)).astype(np.float32)
    half = jnp.asarray(logits, jnp.bfloat16)
    labels = np.arange(4)
    expected = losses.cross_entropy(half.astype(jnp.float32), labels)
    np.testing.assert_array_equal(losses.cross_entropy(half, labels), expected)


@pytest.mark.parametrize(
    "loss, expected",
    [
        (losses.squared_error, lambda x, y: (x - y) ** 2),
        (losses.absolute_error, lambda x, y: np.abs(x - y)),
    ],
)
def test_errors_equal_their_definitions(loss, expected):
    x, y = RANDOM.normal(size=(2, 5, 3)).astype(np.float32)
    np.testing.assert_allclose(loss(x, y), expected(x, y), rtol=1e-6)


@pytest.mark.parametrize("loss", [losses.squared_error, losses.absolute_error])
def test_shapes_that_differ_are_not_broadcast(loss):
    with pytest.raises(AssertionError, match="shape"):
        loss(jnp.zeros((4, 1)), jnp.zeros(4))
