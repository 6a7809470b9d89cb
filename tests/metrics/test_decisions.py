import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import metrics
from fdl.errors import UserError
from fdl.metrics.decisions import decide, weights_of

LOGITS = jnp.array([[0.5, 2.0, -1.0], [3.0, 3.0, 0.0]])


@pytest.mark.parametrize(
    "logits, chosen, num_classes",
    [
        (LOGITS, [1, 0], 3),  # Of equal logits, the lowest index wins.
        (jnp.array([0.0, -1e-6]), [1, 0], 2),  # A probability of one half is enough.
        (jnp.array([True, False]), [1, 0], 2),
        (jnp.array([4, 1]), [4, 1], None),
    ],
)
def test_decisions_are_read_from_any_form(logits, chosen, num_classes):
    decisions = decide(logits, jnp.array([1, 1]))
    np.testing.assert_array_equal(decisions.predicted, chosen)
    np.testing.assert_array_equal(decisions.valid, [True, True])
    assert decisions.num_classes == num_classes


@pytest.mark.parametrize(
    "logits, label",
    [
        (LOGITS[:1], -1),
        (LOGITS[:1], 3),
        (LOGITS[:1], -100),
        (jnp.array([[1.0, jnp.nan, 0.0]]), 0),
        (jnp.array([1.0]), 2),
        (jnp.array([jnp.nan]), 0),
        (jnp.array([True]), 2),
        (jnp.array([0]), -1),
    ],
)
def test_what_is_no_class_or_no_number_is_not_valid(logits, label):
    assert not decide(logits, jnp.array([label])).valid.any()


@pytest.mark.parametrize(
    "shape, labels, message",
    [
        ((4, 3), (5,), r"logits.shape=\[4, 3\], labels.shape=\[5\]: expected"),
        ((4, 3), (4, 1), r"logits.shape=\[4, 3\], labels.shape=\[4, 1\]: expected"),
        ((4, 1), (4,), r"logits.shape=\[4, 1\]: expected .* drop the last axis"),
        ((), (4,), r"logits.shape=\[\]"),
    ],
)
def test_shapes_that_do_not_fit_are_an_error(shape, labels, message):
    with pytest.raises(UserError, match=message):
        decide(jnp.zeros(shape), jnp.zeros(labels, int))


def test_class_indices_of_another_shape_are_an_error():
    with pytest.raises(UserError, match=r"shape=\[4\], labels.shape=\[5\]: expected"):
        decide(jnp.zeros(4, int), jnp.zeros(5, int))


def test_labels_that_are_no_indices_are_an_error():
    with pytest.raises(UserError, match=r"labels.dtype=float32: expected"):
        decide(LOGITS, jnp.zeros(2))


def test_class_indices_alone_do_not_say_how_many_classes_there_are():
    for metric in (metrics.f1, metrics.confusion_matrix, metrics.matthews_correlation):
        with pytest.raises(UserError, match="num_classes=None: expected"):
            metric(jnp.zeros(4, int), jnp.zeros(4, int))


@pytest.mark.parametrize(
    "mask, shape", [((3,), (4,)), ((), (4,)), ((4, 1), (4,)), ((4, 2), (4, 3))]
)
def test_a_mask_of_another_shape_is_an_error(mask, shape):
    with pytest.raises(
        UserError, match=r"mask.shape=.*: expected one weight per example"
    ):
        weights_of(jnp.ones(mask), shape)


def test_the_weight_of_an_example_is_that_of_its_parts():
    mask = jnp.array([2.0, 0.0, -1.0, jnp.nan])
    weights = jax.jit(weights_of, static_argnums=1)(mask, (4, 2))
    expected = [[2, 2], [0, 0], [0, 0], [np.nan, np.nan]]
    np.testing.assert_array_equal(weights, expected)
    assert weights_of(jnp.array([True, False]), (2,)).dtype == jnp.float32


def test_one_nan_among_many_is_seen():
    """XLA on the CPU may leave it out of the maximum of 4096 logits or more."""
    logits, labels = jnp.ones((2000, 5)).at[7, 3].set(jnp.nan), jnp.zeros(2000, int)
    num_valid = jax.jit(lambda *arrays: decide(*arrays).valid.sum())
    assert num_valid(logits, labels) == decide(logits, labels).valid.sum() == 1999
