import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp, softmax
from sklearn import metrics as sklearn

from fdl import losses

PROGRAMS = 790

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(scale=3, size=(6, 4)).astype(np.float32)
LABELS = RANDOM.integers(4, size=6)
SOFT = RANDOM.dirichlet(np.ones(4), size=6).astype(np.float32)


def one_hot(labels, num_classes):
    return np.eye(num_classes)[labels]


def value_and_grad(loss, logits, labels):
    logits, labels = jnp.asarray(logits, jnp.float32), jnp.asarray(labels)
    grad = jax.grad(lambda x: loss(x, labels).sum())(logits)
    return jax.jit(loss)(logits, labels), grad


@pytest.mark.parametrize("shape", [(6, 4), (2, 3, 5), (7,)])
def test_cross_entropy_is_the_negative_log_of_the_softmax(shape):
    logits = RANDOM.normal(scale=3, size=shape).astype(np.float32)
    labels = np.asarray(RANDOM.integers(shape[-1], size=shape[:-1]))
    log_probs = log_softmax(logits.astype(np.float64), axis=-1)
    expected = -(log_probs * one_hot(labels, shape[-1])).sum(axis=-1)
    actual = jax.jit(losses.cross_entropy)(logits, labels)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_its_mean_is_scikit_learns_log_loss():
    probabilities = softmax(LOGITS.astype(np.float64), axis=-1)
    expected = sklearn.log_loss(LABELS, probabilities, labels=range(4))
    actual = losses.cross_entropy(LOGITS, LABELS).mean()
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("num_classes, loss", [(10, 2.302585), (65, 4.174387)])
def test_knowing_nothing_costs_the_log_of_the_number_of_classes(num_classes, loss):
    """So the perplexity is their number, and bits are exp and log 2 away."""
    actual = losses.cross_entropy(jnp.zeros((1, num_classes)), jnp.array([3]))
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
    labels = jnp.eye(3)[label] if soft else jnp.array(label)
    actual = value_and_grad(losses.cross_entropy, logits, labels)
    np.testing.assert_allclose(actual[0], loss, rtol=1e-6)
    np.testing.assert_allclose(actual[1], grad, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_distributions_are_what_labels_are_mixtures_of(smoothing):
    loss = jax.jit(lambda x, y: losses.cross_entropy(x, y, smoothing=smoothing))
    each = np.stack([loss(LOGITS, np.full(6, label)) for label in range(4)], axis=-1)
    np.testing.assert_allclose(loss(LOGITS, SOFT), (SOFT * each).sum(-1), rtol=1e-5)


def test_smoothing_spreads_its_share_over_all_classes_the_right_one_included():
    smooth = 0.9 * one_hot(LABELS, 4) + 0.1 / 4
    expected = -(smooth * log_softmax(LOGITS.astype(np.float64), axis=-1)).sum(-1)
    actual = losses.cross_entropy(LOGITS, LABELS, smoothing=0.1)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_smoothing_and_a_class_that_is_ruled_out_cost_infinitely_much():
    logits = jnp.array([0.0, -jnp.inf, 1.0])
    assert losses.cross_entropy(logits, jnp.array(0), smoothing=0.1) == jnp.inf


def test_the_z_loss_is_the_price_of_the_squared_log_of_the_normaliser():
    plain = losses.cross_entropy(LOGITS, LABELS)
    actual = losses.cross_entropy(LOGITS, LABELS, z_loss=0.3)
    expected = 0.3 * logsumexp(LOGITS.astype(np.float64), axis=-1) ** 2
    np.testing.assert_allclose(actual - plain, expected, rtol=1e-4)


def test_the_z_loss_moves_the_logits_and_leaves_the_probabilities_at_their_optimum():
    """Softmax does not see a shift; with the price, it goes to log Σ exp = 0."""
    logits, labels = jnp.full((1, 2), 3.0), jnp.full((1, 2), 0.5)

    def loss(x):
        return losses.cross_entropy(x, labels, z_loss=1.0).sum()

    for _ in range(100):
        logits -= 0.2 * jax.grad(loss)(logits)
    np.testing.assert_allclose(logits, [[-np.log(2)] * 2], atol=1e-5)


def test_ignored_labels_cost_nothing_and_teach_nothing():
    labels = np.where(np.arange(6) % 2, -100, LABELS)

    def loss(x, y):
        return losses.cross_entropy(x, y, ignore=-100, z_loss=0.1, smoothing=0.1)

    values, grads = value_and_grad(loss, LOGITS, labels)
    np.testing.assert_array_equal(values[1::2], 0)
    np.testing.assert_array_equal(grads[1::2], 0)
    np.testing.assert_allclose(values[::2], loss(LOGITS, LABELS)[::2], rtol=1e-6)
    assert np.isnan(loss(LOGITS, np.full(6, -1))).all()


@pytest.mark.parametrize(
    "loss", [losses.cross_entropy, losses.focal, losses.crammer_singer]
)
@pytest.mark.parametrize("label", [-1, -2, -100, 3, 7])
def test_a_label_that_is_no_class_is_not_a_number_and_teaches_nothing(loss, label):
    logits = jnp.array([[1.0, 2.0, 3.0], [3.0, 2.0, 2.5]])
    values, grads = value_and_grad(loss, logits, jnp.array([label, 1]))
    alone, grad = value_and_grad(loss, logits[1:], jnp.array([1]))
    np.testing.assert_array_equal(values, [np.nan, alone[0]])
    np.testing.assert_array_equal(grads, [[0, 0, 0], grad[0]])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.uint32, np.int64])
def test_labels_of_few_bits_are_no_other_labels(dtype):
    logits = RANDOM.normal(size=(2, 300)).astype(np.float32)
    labels = np.array([7, 100])
    expected = losses.cross_entropy(logits, labels)
    loss = jax.jit(lambda x, y: losses.cross_entropy(x, y, ignore=-100))
    np.testing.assert_array_equal(loss(logits, labels.astype(dtype)), expected)


@pytest.mark.parametrize(
    "labels", [[0.5, 0.6, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [-0.5, 1.5, 0.0]]
)
def test_what_is_no_distribution_is_not_a_number(labels):
    logits = jnp.array([1.0, 2.0, 3.0])
    value, grad = value_and_grad(losses.cross_entropy, logits, labels)
    assert np.isnan(value)
    np.testing.assert_array_equal(grad, 0)


def test_rounded_probabilities_are_still_a_distribution():
    labels = jnp.asarray(RANDOM.dirichlet(np.ones(1000), size=20), jnp.bfloat16)
    assert np.isfinite(losses.cross_entropy(jnp.zeros((20, 1000)), labels)).all()


@pytest.mark.parametrize(
    "logits, labels, message",
    [
        (jnp.zeros((2, 3)), jnp.zeros(2), "shape"),
        (jnp.zeros((2, 3)), jnp.zeros((2, 4)), "shape"),
        (jnp.zeros((2, 3)), jnp.zeros((2, 1), int), "rank"),
        (jnp.zeros((2, 3)), jnp.zeros(3, int), "shape"),
        (jnp.zeros((2, 3), int), jnp.zeros(2, int), "type"),
    ],
)
def test_shapes_and_types_that_do_not_fit_are_errors(logits, labels, message):
    with pytest.raises(AssertionError, match=message):
        losses.cross_entropy(logits, labels)


def test_distributions_cannot_be_ignored():
    with pytest.raises(ValueError, match="ignore=-1"):
        losses.cross_entropy(LOGITS, SOFT, ignore=-1)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_is_its_definition(gamma):
    p = (softmax(LOGITS.astype(np.float64), axis=-1) * one_hot(LABELS, 4)).sum(-1)
    actual = losses.focal(LOGITS, LABELS, gamma=gamma)
    np.testing.assert_allclose(actual, -((1 - p) ** gamma) * np.log(p), rtol=1e-5)


def test_focal_of_two_classes_is_the_binary_one():
    z, labels = LOGITS[:, 0], LABELS % 2
    two = jnp.stack([jnp.zeros(6), z], axis=-1)
    expected = losses.binary_focal(z, labels, alpha=None, gamma=1.5)
    actual = losses.focal(two, labels, gamma=1.5)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_is_stable_with_large_logits(gamma):
    logits = [[1e4, 0, 0], [-1e4, 0, 0], [0, 1e4, 0]]
    values, grads = value_and_grad(
        lambda x, y: losses.focal(x, y, gamma=gamma), logits, [0, 0, 0]
    )
    np.testing.assert_allclose(values, [0, 1e4 + np.log(2), 1e4], rtol=1e-6)
    np.testing.assert_allclose(
        grads, [[0, 0, 0], [-1, 0.5, 0.5], [-1, 1, 0]], atol=1e-6
    )


def test_crammer_singer_is_scikit_learns_hinge_loss():
    scores, labels = RANDOM.normal(size=(50, 4)), RANDOM.integers(4, size=50)
    actual = losses.crammer_singer(scores.astype(np.float32), labels).mean()
    expected = sklearn.hinge_loss(labels, scores, labels=range(4))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_crammer_singer_is_stable_with_large_scores():
    scores = [[1e4, 0, 0], [-1e4, 0, -1], [0, 1e4, 0]]
    values, grads = value_and_grad(losses.crammer_singer, scores, [0, 0, 0])
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
    ours = losses.crammer_singer(LOGITS, LABELS)
    np.testing.assert_allclose(ours, margins.max(-1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_a_gradient_where_all_other_classes_are_ruled_out(gamma):
    def loss(logits):
        return losses.focal(logits, jnp.array([0]), gamma=gamma).sum()

    value, grad = jax.value_and_grad(loss)(jnp.array([[1.0, -jnp.inf, -jnp.inf]]))
    assert value == 0
    np.testing.assert_array_equal(grad, np.zeros((1, 3)))
