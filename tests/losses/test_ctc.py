import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from fdl import losses
from fdl.errors import UserError

PROGRAMS = 1140

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(scale=2, size=(3, 5, 4)).astype(np.float32)
ctc = jax.jit(losses.ctc, static_argnames="blank")


def reference(logits, labels, blank=0):
    """The definition: all alignments that say the labels, one by one."""
    log_probs = log_softmax(logits.astype(np.float64), axis=-1)
    total = 0.0
    for path in itertools.product(range(logits.shape[-1]), repeat=len(logits)):
        said = [c for c, _ in itertools.groupby(path) if c != blank]
        if said == list(labels):
            total += np.exp(sum(log_probs[t, c] for t, c in enumerate(path)))
    with np.errstate(divide="ignore"):
        return -np.log(total)


@pytest.mark.parametrize(
    "labels", [[1, 2, 3], [1, 1, 2], [2, 2, 2], [1, 2, 1], [3], []], ids=str
)
def test_ctc_is_the_sum_over_all_alignments(labels):
    given = np.tile(np.array(labels, np.int32)[None], (3, 1))
    expected = [reference(logits, labels) for logits in LOGITS]
    np.testing.assert_allclose(ctc(LOGITS, given), expected, rtol=1e-5)


def test_padding_changes_nothing():
    frames, sizes = [5, 4, 3], [3, 1, 2]
    labels = [[1, 1, 2], [3], [2, 1]]
    padded = np.array([row + [2] * (3 - len(row)) for row in labels])
    mask = np.arange(5) < np.array(frames)[:, None]
    label_mask = np.arange(3) < np.array(sizes)[:, None]

    values, grad = value_and_grad(LOGITS, padded, mask=mask, label_mask=label_mask)
    expected = [
        reference(x[:t], row) for x, t, row in zip(LOGITS, frames, labels, strict=True)
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    np.testing.assert_array_equal(np.asarray(grad)[~mask], 0)


def test_any_class_may_be_the_blank():
    expected = [reference(logits, [0, 2], blank=3) for logits in LOGITS]
    actual = ctc(LOGITS, np.tile([[0, 2]], (3, 1)), blank=3)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@jax.jit
def value_and_grad(logits, labels, **masks):
    def loss(logits):
        values = losses.ctc(logits, labels, **masks)
        return values.sum(), values

    grad, values = jax.grad(loss, has_aux=True)(logits)
    return values, grad


@pytest.mark.parametrize("labels", [[1, 2, 3, 1, 2, 3], [1, 1, 1, 2, 3]])
def test_labels_that_do_not_fit_into_the_frames_are_impossible(labels):
    """Equal neighbours need a blank between them."""
    loss, grad = value_and_grad(LOGITS[:1], np.array([labels]))
    assert reference(LOGITS[0], labels) == np.inf == loss
    np.testing.assert_array_equal(grad, 0)


def test_labels_that_just_fit_are_possible():
    labels = [1, 1, 2, 2]  # Six frames, 1_12_2.
    logits = RANDOM.normal(size=(1, 6, 3)).astype(np.float32)
    loss, grad = value_and_grad(logits, np.array([labels]))
    np.testing.assert_allclose(loss, [reference(logits[0], labels)], rtol=1e-5)
    assert np.isfinite(grad).all()


@pytest.mark.parametrize(
    "labels, label_mask",
    [
        ([1, 4, 2], [1, 1, 1]),
        ([1, -1, 2], [1, 1, 1]),
        ([1, 0, 2], [1, 1, 1]),
        ([1, 2, 2], [1, 0, 1]),
    ],
    ids=["no class", "negative", "blank", "padding between labels"],
)
def test_wrong_labels_are_not_a_number_and_teach_nothing(labels, label_mask):
    loss, grad = value_and_grad(
        LOGITS[:1], np.array([labels]), label_mask=np.array([label_mask])
    )
    assert np.isnan(loss).all()
    np.testing.assert_array_equal(grad, 0)


def test_padded_labels_may_be_anything():
    labels = np.array([[1, 2, -1], [1, 2, 99], [1, 2, 0]])
    label_mask = np.array([[True, True, False]] * 3)
    actual = ctc(LOGITS, labels, label_mask=label_mask)
    np.testing.assert_array_equal(actual, ctc(LOGITS, labels[:, :2]))


def test_ctc_is_stable_with_large_logits():
    """Even where what is possible is less likely than exp(-100000)."""
    logits = np.zeros((1, 30, 3), np.float32)
    logits[:, :, 0] = 1e4  # Blank everywhere: each label costs ten thousand.
    loss, grad = value_and_grad(logits, np.array([[1, 2] * 10]))
    np.testing.assert_allclose(loss, 20 * 1e4, rtol=1e-3)
    # Two hundred thousand is known to a hundredth, and so are its exponentials.
    np.testing.assert_allclose(np.asarray(grad)[..., 0].sum(), 20, rtol=5e-2)


def test_frames_and_labels_are_of_as_many_examples():
    with pytest.raises(UserError, match=r"\]: expected "):
        losses.ctc(jnp.zeros((2, 5, 3)), jnp.ones((3, 2), int))


def test_log_probabilities_are_picked_without_rounding():
    shown = str(jax.make_jaxpr(losses.ctc)(LOGITS, np.ones((3, 2), np.int32)))
    products = shown.count("dot_general[")
    assert products == shown.count("precision=(Precision.HIGHEST, Precision.HIGHEST)")
    assert products > 0


STATE = np.random.RandomState(0)
FRAMES = STATE.normal(size=(4, 20, 6)).astype(np.float32)
SEQUENCES = STATE.randint(1, 6, size=(4, 5))
LENGTHS, SIZES = np.array([20, 18, 20, 12]), np.array([5, 3, 4, 1])
THEIRS = 89.481491, 31.923771


def our_ctc(frames):
    mask = np.arange(20) < LENGTHS[:, None]
    label_mask = np.arange(5) < SIZES[:, None]
    return losses.ctc(frames, SEQUENCES, mask=mask, label_mask=label_mask)


def test_ctc_gives_the_numbers_of_torch():
    value, grad = jax.jit(jax.value_and_grad(lambda x: our_ctc(x).sum()))(FRAMES)
    actual = value, np.square(grad).sum()
    np.testing.assert_allclose(actual, THEIRS, rtol=1e-5)


@pytest.mark.oracle
def test_ctc_agrees_with_torch(torch):
    x = torch.tensor(FRAMES, requires_grad=True)
    theirs = torch.nn.functional.ctc_loss(
        x.log_softmax(-1).transpose(0, 1),
        *map(torch.tensor, (SEQUENCES, LENGTHS, SIZES)),
        reduction="none",
    )
    theirs.sum().backward()
    numbers = theirs.sum().item(), x.grad.square().sum().item()
    np.testing.assert_allclose(numbers, THEIRS, rtol=1e-6)
    np.testing.assert_allclose(our_ctc(FRAMES), theirs.detach(), rtol=1e-5)
    grad = jax.grad(lambda x: our_ctc(x).sum())(jnp.asarray(FRAMES))
    np.testing.assert_allclose(grad, x.grad, atol=1e-5)
