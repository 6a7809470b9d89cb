import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit
from sklearn import metrics as sklearn

from fdl import losses
from fdl.errors import UserError

PROGRAMS = 480

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(scale=3, size=(8, 3)).astype(np.float32)
LABELS = RANDOM.integers(2, size=(8, 3))
SOFT = RANDOM.uniform(size=(8, 3)).astype(np.float32)
EVERY = pytest.mark.parametrize(
    "loss", [losses.binary_cross_entropy, losses.binary_focal, losses.hinge]
)
binary_cross_entropy = jax.jit(
    losses.binary_cross_entropy, static_argnames="positive_weight"
)
binary_focal = jax.jit(losses.binary_focal, static_argnames=("alpha", "gamma"))
hinge = jax.jit(losses.hinge)


@functools.partial(jax.jit, static_argnums=0)
def value_and_grad(loss, logits, labels):
    logits = jnp.asarray(logits, jnp.float32)
    grad = jax.grad(lambda x: loss(x, labels).sum())(logits)
    return loss(logits, labels), grad


@pytest.mark.parametrize("labels", [LABELS, LABELS.astype(bool), SOFT])
@pytest.mark.parametrize("weight", [1.0, 2.5, (0.5, 1.0, 3.0)])
def test_binary_cross_entropy_is_its_definition(labels, weight):
    p, y = expit(LOGITS.astype(np.float64)), labels.astype(np.float64)
    expected = -np.array(weight) * y * np.log(p) - (1 - y) * np.log(1 - p)
    actual = binary_cross_entropy(LOGITS, labels, positive_weight=weight)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_its_mean_is_scikit_learns_log_loss():
    expected = sklearn.log_loss(LABELS[:, 0], expit(LOGITS[:, 0].astype(np.float64)))
    actual = binary_cross_entropy(LOGITS[:, 0], LABELS[:, 0]).mean()
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_it_is_the_cross_entropy_of_two_classes():
    two = np.stack([np.zeros_like(LOGITS), LOGITS], axis=-1)
    expected = jax.jit(losses.cross_entropy)(two, LABELS)
    actual = binary_cross_entropy(LOGITS, LABELS)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_a_positive_weight_is_that_many_copies_of_the_positives():
    logits, labels = LOGITS[:, 0], LABELS[:, 0]
    copies = np.repeat(np.arange(8), np.where(labels == 1, 3, 1))
    weighted = binary_cross_entropy(logits, labels, positive_weight=3.0)
    plain = binary_cross_entropy(logits[copies], labels[copies])
    np.testing.assert_allclose(weighted.sum(), plain.sum(), rtol=1e-6)


@pytest.mark.parametrize("alpha", [None, 0.25, 0.9])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_binary_focal_is_its_definition(alpha, gamma):
    p = expit(LOGITS.astype(np.float64))
    p = np.where(LABELS == 1, p, 1 - p)
    share = 1.0 if alpha is None else np.where(LABELS == 1, alpha, 1 - alpha)
    expected = -share * (1 - p) ** gamma * np.log(p)
    actual = binary_focal(LOGITS, LABELS, alpha=alpha, gamma=gamma)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-7)


def test_the_papers_numbers_are_the_defaults_of_focal():
    actual = binary_focal(LOGITS, LABELS)
    expected = binary_focal(LOGITS, LABELS, alpha=0.25, gamma=2.0)
    np.testing.assert_array_equal(actual, expected)


def test_the_mean_hinge_is_scikit_learns():
    actual = hinge(LOGITS[:, 0], LABELS[:, 0]).mean()
    expected = sklearn.hinge_loss(LABELS[:, 0], LOGITS[:, 0])
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "loss, values, slopes",
    [
        (losses.binary_cross_entropy, [0, 1e4, 1e4, 0], [0, -1, 1, 0]),
        (losses.binary_focal, [0, 2500, 7500, 0], [0, -0.25, 0.75, 0]),
        (losses.hinge, [0, 10001, 10001, 0], [0, -1, 1, 0]),
    ],
)
def test_they_are_stable_with_large_logits(loss, values, slopes):
    logits, labels = np.array([1e4, -1e4, 1e4, -1e4]), np.array([1, 1, 0, 0])
    actual = value_and_grad(loss, logits, labels)
    np.testing.assert_allclose(actual[0], values, rtol=1e-6)
    np.testing.assert_allclose(actual[1], slopes, atol=1e-6)


@EVERY
@pytest.mark.parametrize("label", [-1.0, 2.0, 1.01, np.nan, np.inf])
def test_a_label_that_is_no_answer_is_not_a_number_and_teaches_nothing(loss, label):
    logits, labels = np.array([0.3, 0.7]), np.array([label, 1.0])
    values, grads = value_and_grad(loss, logits, labels)
    alone, grad = value_and_grad(loss, logits[1:], labels[1:])
    np.testing.assert_array_equal(values, [np.nan, alone[0]])
    np.testing.assert_array_equal(grads, [0, grad[0]])


def test_hinge_knows_no_probabilities():
    assert np.isnan(hinge(jnp.zeros(1), jnp.array([0.5]))).all()


@EVERY
def test_shapes_that_differ_are_not_broadcast(loss):
    with pytest.raises(UserError, match=r"\]: expected "):
        loss(jnp.zeros((4, 1)), jnp.zeros(4))
