import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from fdl import losses, metrics
from fdl.errors import UserError

PROGRAMS = 330

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(10, 3)).astype(np.float32)
LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 2, 0, 1])
WEIGHTS = (0.5, 2.0, 3.0)
cross_entropy = jax.jit(losses.cross_entropy, static_argnames=("ignore", "smoothing"))
label_weights = jax.jit(losses.label_weights, static_argnames="ignore")


@pytest.mark.parametrize(
    "labels, num_classes, message",
    [
        ([0, 1, 3, 9], 3, "labels[2]=3: expected a class index from 0 to 2"),
        ([0, 1, -1], 3, "labels[2]=-1: expected"),
        ([[0, 1], [5, 0]], 5, "labels[1, 0]=5: expected a class index from 0 to 4"),
        (7, 2, "labels=7: expected a class index from 0 to 1"),
        ([1, 2, 3], 3, "counted from 1: subtract 1"),
        ([0.0, 1.0], 3, "labels.dtype=float64: expected integers"),
        ([True], 3, "labels.dtype=bool: expected integers"),
    ],
)
def test_the_first_wrong_label_is_named(labels, num_classes, message):
    with pytest.raises(UserError) as error:
        losses.check_labels(np.array(labels), num_classes)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "labels, ignore",
    [
        (np.array([0, 1, 2]), None),
        (jnp.array([0, -100, 2]), -100),
        (np.zeros(0, int), 1),
    ],
)
def test_right_labels_pass(labels, ignore):
    losses.check_labels(labels, 3, ignore=ignore)


def test_an_ignored_label_is_no_excuse_for_another():
    with pytest.raises(UserError, match=r"labels\[1\]=3") as error:
        losses.check_labels(np.array([-100, 3, 1]), 3, ignore=-100)
    assert "from 1" in str(error.value)


def test_class_weights_weigh_the_mean_as_scikit_learn_does():
    probabilities = softmax(LOGITS.astype(np.float64), axis=-1)
    expected = log_loss(
        LABELS, probabilities, sample_weight=np.array(WEIGHTS)[LABELS], labels=range(3)
    )
    mean = metrics.mean(cross_entropy(LOGITS, LABELS), label_weights(LABELS, WEIGHTS))
    np.testing.assert_allclose(mean.compute(), expected, rtol=1e-5)


@pytest.mark.parametrize("cuts", [[], [1], [2, 3, 9]])
def test_it_is_exact_over_uneven_batches(cuts):
    """The mean of the batches' means is not: their weights differ."""
    values = np.asarray(cross_entropy(LOGITS, LABELS))
    parts = [
        metrics.mean(v, label_weights(y, WEIGHTS))
        for v, y in zip(np.split(values, cuts), np.split(LABELS, cuts), strict=True)
    ]
    merged = jax.tree.map(lambda *x: sum(x), *parts).compute()
    expected = np.average(values, weights=np.array(WEIGHTS)[LABELS])
    np.testing.assert_allclose(merged, expected, rtol=1e-6)


def test_balanced_weights_make_classes_count_the_same():
    weights = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    each = label_weights(LABELS, weights)
    sums = [each[label == LABELS].sum() for label in range(3)]
    np.testing.assert_allclose(sums, 10 / 3, rtol=1e-6)


def test_ignored_labels_have_no_part_in_the_mean():
    labels = np.where(np.arange(10) < 4, -100, LABELS)
    values = cross_entropy(LOGITS, labels, ignore=-100)
    mean = metrics.mean(values, label_weights(labels, WEIGHTS, ignore=-100))
    expected = np.average(
        cross_entropy(LOGITS, LABELS)[4:], weights=np.array(WEIGHTS)[LABELS[4:]]
    )
    np.testing.assert_allclose(mean.compute(), expected, rtol=1e-6)


def test_where_all_are_ignored_the_mean_says_that_there_is_none():
    labels = np.full(3, -100)
    values = cross_entropy(LOGITS[:3], labels, ignore=-100)
    mean = metrics.mean(values, label_weights(labels, ignore=-100))
    assert (mean.total, mean.weight) == (0, 0)
    assert np.isnan(mean.compute())


@pytest.mark.parametrize("label", [-1, 3, 100])
def test_a_label_that_is_no_class_is_still_seen_in_the_mean(label):
    labels = np.array([label, 1, 2])
    weights = jax.jit(lambda y: label_weights(y, WEIGHTS))(labels)
    np.testing.assert_array_equal(weights, [1, 2, 3])
    values = cross_entropy(LOGITS[:3], labels)
    assert np.isnan(metrics.mean(values, weights).compute())


def test_the_weight_of_a_distribution_is_the_one_to_be_expected():
    soft = RANDOM.dirichlet(np.ones(3), size=4).astype(np.float32)
    np.testing.assert_allclose(label_weights(soft, WEIGHTS), soft @ WEIGHTS, rtol=1e-6)
    np.testing.assert_array_equal(
        label_weights(np.eye(3, dtype=np.float32), WEIGHTS), WEIGHTS
    )
    np.testing.assert_array_equal(label_weights(soft), np.ones(4))


def test_distributions_cannot_be_ignored():
    with pytest.raises(ValueError, match="ignore=3"):
        label_weights(jnp.ones((2, 3)) / 3, ignore=3)


THEIRS = 1.1802603, 1.33031154
SOME = np.where(np.arange(10) % 4 == 2, -100, LABELS)


def our_mean(labels, smoothing=0.0):
    """Over the labels that are not ignored, by the weights of their classes."""
    weights = label_weights(labels, WEIGHTS, ignore=-100)
    values = cross_entropy(LOGITS, labels, smoothing=smoothing, ignore=-100)
    return metrics.mean(values, weights).compute()


def test_class_weights_and_ignored_labels_give_the_numbers_of_torch():
    actual = [our_mean(LABELS), our_mean(SOME)]
    np.testing.assert_allclose(actual, THEIRS, rtol=1e-6)


@pytest.mark.oracle
def test_class_weights_and_ignored_labels_agree_with_torch(torch):
    for labels, number in zip((LABELS, SOME), THEIRS, strict=True):
        theirs = torch.nn.functional.cross_entropy(
            *map(torch.tensor, (LOGITS, labels, np.float32(WEIGHTS)))
        )
        np.testing.assert_allclose(our_mean(labels), theirs, rtol=1e-6)
        np.testing.assert_allclose(theirs, number, rtol=1e-6)


@pytest.mark.oracle
def test_torch_weighs_smoothed_classes_each_by_its_own_weight(torch):
    """Ours weighs the example by its label. The sum of the weights is the same."""
    theirs = torch.nn.functional.cross_entropy(
        *map(torch.tensor, (LOGITS, LABELS, np.float32(WEIGHTS))), label_smoothing=0.1
    ).item()
    assert abs(our_mean(LABELS, smoothing=0.1) - theirs) > 1e-2
    each = [cross_entropy(LOGITS, np.full(10, c)) for c in range(3)]
    even = np.mean(np.stack(each, axis=-1) * np.array(WEIGHTS), axis=-1)
    right = cross_entropy(LOGITS, LABELS) * np.array(WEIGHTS)[LABELS]
    total = (0.9 * right + 0.1 * even).sum() / np.array(WEIGHTS)[LABELS].sum()
    np.testing.assert_allclose(total, theirs, rtol=1e-6)


@pytest.mark.parametrize(
    "labels, ignore",
    [
        (np.array([156, 0], np.uint8), -100),
        (np.array([-1, 0], np.int8), 255),
        (np.array([2**32 - 100, 0], np.uint32), -100),
    ],
)
def test_labels_of_few_bits_are_not_taken_for_the_ignored_one(labels, ignore):
    """In a byte, -100 is 156; in 32 bits without a sign, 4294967196."""
    labels = jnp.asarray(labels)
    np.testing.assert_array_equal(label_weights(labels, ignore=ignore), 1)
    loss = cross_entropy(jnp.zeros((2, 200)), labels, ignore=ignore)
    assert loss[0] != 0
