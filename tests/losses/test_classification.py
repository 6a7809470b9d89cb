import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp, softmax
from sklearn import metrics as sklearn

from fdl import losses
from fdl.errors import UserError
from fdl.losses.arguments import type_of

PROGRAMS = 790

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(scale=3, size=(6, 4)).astype(np.float32)
LABELS = RANDOM.integers(4, size=6)
SOFT = RANDOM.dirichlet(np.ones(4), size=6).astype(np.float32)


cross_entropy = jax.jit(
    losses.cross_entropy, static_argnames=("ignore", "smoothing", "z_loss")
)
focal = jax.jit(losses.focal, static_argnames="gamma")
crammer_singer = jax.jit(losses.crammer_singer)


def one_hot(labels, num_classes):
    return np.eye(num_classes)[labels]


@functools.partial(jax.jit, static_argnums=0)
def value_and_grad(loss, logits, labels):
    logits = jnp.asarray(logits, jnp.float32)
    grad = jax.grad(lambda x: loss(x, labels).sum())(logits)
    return loss(logits, labels), grad


@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 5), (7,)])
def test_cross_entropy_is_the_negative_log_of_the_softmax(shape):
    logits = RANDOM.normal(scale=3, size=shape).astype(np.float32)
    labels = np.asarray(RANDOM.integers(shape[-1], size=shape[:-1]))
    log_probs = log_softmax(logits.astype(np.float64), axis=-1)
    expected = -(log_probs * one_hot(labels, shape[-1])).sum(axis=-1)
    actual = cross_entropy(logits, labels)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_its_mean_is_scikit_learns_log_loss():
    probabilities = softmax(LOGITS.astype(np.float64), axis=-1)
    expected = sklearn.log_loss(LABELS, probabilities, labels=range(4))
    actual = cross_entropy(LOGITS, LABELS).mean()
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("num_classes, loss", [(10, 2.302585), (65, 4.174387)])
def test_knowing_nothing_costs_the_log_of_the_number_of_classes(num_classes, loss):
    """So the perplexity is their number, and bits are exp and log 2 away."""
    actual = cross_entropy(jnp.zeros((1, num_classes)), jnp.array([3]))
    np.testing.assert_allclose(actual, [loss], rtol=1e-6)
    np.testing.assert_allclose(np.exp(actual), num_classes, rtol=1e-5)


@pytest.mark.parametrize(
    "logits, label, loss, grad",
    [
        ([1e4, 0, 0], 0, 0.0, [0, 0, 0]),
        ([1e4, 0, 0], 1, 1e4, [1, -1, 0]),
        ([-1e4, 0, 0], 1, np.log(2), [0, -0.5, 0.5]),
        ([1e38, 0, 0], 1, 1e38, [1, -1, 0]),
        ([-np.inf, 0, 1], 1, 1.3132616, [0, -0.7310586, 0.7310586]),
    ],
)
@pytest.mark.parametrize("soft", [False, True])
def test_cross_entropy_is_stable_with_large_logits(logits, label, loss, grad, soft):
    labels = np.eye(3, dtype=np.float32)[label] if soft else np.array(label)
    actual = value_and_grad(losses.cross_entropy, np.array(logits), labels)
    np.testing.assert_allclose(actual[0], loss, rtol=1e-6)
    np.testing.assert_allclose(actual[1], grad, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_distributions_are_what_labels_are_mixtures_of(smoothing):
    loss = functools.partial(cross_entropy, smoothing=smoothing)
    each = np.stack([loss(LOGITS, np.full(6, label)) for label in range(4)], axis=-1)
    np.testing.assert_allclose(loss(LOGITS, SOFT), (SOFT * each).sum(-1), rtol=1e-5)


def test_smoothing_spreads_its_share_over_all_classes_the_right_one_included():
    smooth = 0.9 * one_hot(LABELS, 4) + 0.1 / 4
    expected = -(smooth * log_softmax(LOGITS.astype(np.float64), axis=-1)).sum(-1)
    actual = cross_entropy(LOGITS, LABELS, smoothing=0.1)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_smoothing_and_a_class_that_is_ruled_out_cost_infinitely_much():
    logits = jnp.array([0.0, -jnp.inf, 1.0])
    assert cross_entropy(logits, jnp.array(0), smoothing=0.1) == jnp.inf


def test_the_z_loss_is_the_price_of_the_squared_log_of_the_normaliser():
    plain = cross_entropy(LOGITS, LABELS)
    actual = cross_entropy(LOGITS, LABELS, z_loss=0.3)
    expected = 0.3 * logsumexp(LOGITS.astype(np.float64), axis=-1) ** 2
    np.testing.assert_allclose(actual - plain, expected, rtol=1e-4)


def test_the_z_loss_moves_the_logits_and_leaves_the_probabilities_at_their_optimum():
    """Softmax does not see a shift; with the price, it goes to log Σ exp = 0."""
    labels = np.full((1, 2), 0.5, np.float32)

    def loss(x):
        return cross_entropy(x, labels, z_loss=1.0).sum()

    def descend(_, logits):
        return logits - 0.2 * jax.grad(loss)(logits)

    logits = jax.jit(functools.partial(jax.lax.fori_loop, 0, 100, descend))(
        np.full((1, 2), 3.0, np.float32)
    )
    np.testing.assert_allclose(logits, [[-np.log(2)] * 2], atol=1e-5)


def test_ignored_labels_cost_nothing_and_teach_nothing():
    labels = np.where(np.arange(6) % 2, -100, LABELS)

    def loss(x, y):
        return cross_entropy(x, y, ignore=-100, z_loss=0.1, smoothing=0.1)

    values, grads = value_and_grad(loss, LOGITS, labels)
    values, grads, expected = map(np.asarray, (values, grads, loss(LOGITS, LABELS)))
    np.testing.assert_array_equal(values[1::2], 0)
    np.testing.assert_array_equal(grads[1::2], 0)
    np.testing.assert_allclose(values[::2], expected[::2], rtol=1e-6)
    assert np.isnan(loss(LOGITS, np.full(6, -1))).all()


@pytest.mark.parametrize(
    "loss", [losses.cross_entropy, losses.focal, losses.crammer_singer]
)
@pytest.mark.parametrize("label", [-1, -2, -100, 3, 7])
def test_a_label_that_is_no_class_is_not_a_number_and_teaches_nothing(loss, label):
    logits = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 2.5]])
    values, grads = value_and_grad(loss, logits, np.array([label, 1]))
    alone, grad = value_and_grad(loss, logits[1:], np.array([1]))
    np.testing.assert_array_equal(values, [np.nan, alone[0]])
    np.testing.assert_array_equal(grads, [[0, 0, 0], grad[0]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint32, np.int64])
def test_labels_of_few_bits_are_no_other_labels(dtype):
    logits = RANDOM.normal(size=(2, 300)).astype(np.float32)
    labels = np.array([7, 100])
    expected = cross_entropy(logits, labels)
    loss = functools.partial(cross_entropy, ignore=-100)
    np.testing.assert_array_equal(loss(logits, labels.astype(dtype)), expected)


@pytest.mark.parametrize(
    "labels", [[0.5, 0.6, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [-0.5, 1.5, 0.0]]
)
def test_what_is_no_distribution_is_not_a_number(labels):
    args = np.array([1.0, 2.0, 3.0]), np.array(labels)
    value, grad = value_and_grad(losses.cross_entropy, *args)
    assert np.isnan(value)
    np.testing.assert_array_equal(grad, 0)


def test_rounded_probabilities_are_still_a_distribution():
    labels = jnp.asarray(RANDOM.dirichlet(np.ones(1000), size=20), jnp.bfloat16)
    assert np.isfinite(cross_entropy(jnp.zeros((20, 1000)), labels)).all()


@pytest.mark.parametrize(
    "labels, expected",
    [
        (jnp.zeros(2), "int[2], class indices, or float[2, 3], distributions"),
        (jnp.zeros((2, 4)), "int[2], class indices, or float[2, 3], distributions"),
        (jnp.zeros(2, bool), "int[2], class indices"),
        (jnp.zeros((2, 1), int), "int[2], class indices"),
        (jnp.zeros(3, int), "int[2], class indices"),
    ],
)
def test_shapes_and_types_that_do_not_fit_are_one_line(labels, expected):
    line = f"labels of {type_of(labels)}: expected {expected}, as logits are float32"
    with pytest.raises(UserError, match=re.escape(line)):
        cross_entropy(jnp.zeros((2, 3)), labels)


def test_logits_are_no_integers():
    with pytest.raises(UserError, match=r"logits of int32\[2, 3\]: expected float\["):
        cross_entropy(jnp.zeros((2, 3), int), jnp.zeros(2, int))


def test_distributions_cannot_be_ignored():
    with pytest.raises(ValueError, match="ignore=-1"):
        cross_entropy(LOGITS, SOFT, ignore=-1)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_is_its_definition(gamma):
    p = (softmax(LOGITS.astype(np.float64), axis=-1) * one_hot(LABELS, 4)).sum(-1)
    actual = focal(LOGITS, LABELS, gamma=gamma)
    np.testing.assert_allclose(actual, -((1 - p) ** gamma) * np.log(p), rtol=1e-5)


def test_focal_of_two_classes_is_the_binary_one():
    z, labels = LOGITS[:, 0], LABELS % 2
    two = np.stack([np.zeros_like(z), z], axis=-1)
    expected = losses.binary_focal(z, labels, alpha=None, gamma=1.5)
    actual = focal(two, labels, gamma=1.5)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_is_stable_with_large_logits(gamma):
    logits = [[1e4, 0, 0], [-1e4, 0, 0], [0, 1e4, 0]]
    values, grads = value_and_grad(
        functools.partial(losses.focal, gamma=gamma), np.array(logits), np.zeros(3, int)
    )
    np.testing.assert_allclose(values, [0, 1e4 + np.log(2), 1e4], rtol=1e-6)
    np.testing.assert_allclose(
        grads, [[0, 0, 0], [-1, 0.5, 0.5], [-1, 1, 0]], atol=1e-6
    )


def test_crammer_singer_is_scikit_learns_hinge_loss():
    scores, labels = RANDOM.normal(size=(50, 4)), RANDOM.integers(4, size=50)
    actual = crammer_singer(scores.astype(np.float32), labels).mean()
    expected = sklearn.hinge_loss(labels, scores, labels=range(4))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_crammer_singer_is_stable_with_large_scores():
    scores = [[1e4, 0, 0], [-1e4, 0, -1], [0, 1e4, 0]]
    args = np.array(scores), np.zeros(3, int)
    values, grads = value_and_grad(losses.crammer_singer, *args)
    np.testing.assert_allclose(values, [0, 10001, 10001])
    np.testing.assert_array_equal(grads, [[0, 0, 0], [-1, 1, 0], [-1, 1, 0]])


@pytest.mark.oracle
def test_torchs_multi_margin_is_another_hinge_than_that_of_crammer_and_singer(torch):
    theirs = torch.nn.functional.multi_margin_loss(
        *map(torch.tensor, (LOGITS, LABELS)), reduction="none"
    )
    scores = np.take_along_axis(LOGITS, LABELS[:, None], axis=-1)
    margins = np.maximum(0, 1 + LOGITS - scores)
    margins[np.arange(6), LABELS] = 0
    np.testing.assert_allclose(theirs, margins.mean(-1), rtol=1e-5)
    ours = crammer_singer(LOGITS, LABELS)
    np.testing.assert_allclose(ours, margins.max(-1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_a_gradient_where_all_other_classes_are_ruled_out(gamma):
    value, grad = value_and_grad(
        functools.partial(losses.focal, gamma=gamma),
        np.array([[1.0, -np.inf, -np.inf]]),
        np.array([0]),
    )
    assert value == 0
    np.testing.assert_array_equal(grad, np.zeros((1, 3)))
