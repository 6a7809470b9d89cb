"""Weighted batches have the frequencies that their weights say."""

from itertools import islice

import chex
import jax
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

import fdl.data
from fdl.errors import UserError

SIZE = 7
WEIGHTS = np.array([0.0, 1, 2, 4, 1, 0, 0.5])
ARRAYS: dict[str, np.ndarray] = {"id": np.arange(SIZE, dtype=np.int32)}
RECORDS = [{"id": np.int32(i)} for i in range(SIZE)]
every_source = pytest.mark.parametrize(
    "source", [ARRAYS, RECORDS], ids=["arrays", "records"]
)
both_ways = pytest.mark.parametrize("replacement", [True, False])


def taken(batches, start, num_steps):
    take, data = jax.jit(batches.take), jax.device_put(batches.data)
    return [take(data, item) for item in islice(batches.stream(start), num_steps)]


def drawn(batch_size, num_steps, **options):
    batches = fdl.data.weighted_batches(ARRAYS, batch_size, WEIGHTS, 5, **options)
    return np.stack([item["index"] for item in islice(batches.stream(0), num_steps)])


def test_with_replacement_each_place_has_the_frequencies_of_the_weights():
    found = drawn(3, 4000)
    expected = WEIGHTS / WEIGHTS.sum()
    for place in found.T:
        counts = np.bincount(place, minlength=SIZE)
        assert (counts[expected == 0] == 0).all()
        there = expected > 0
        ideal = 4000 * expected[there]
        # Four degrees of freedom: chi-squared exceeds 23.5 once in ten thousand times.
        assert ((counts[there] - ideal) ** 2 / ideal).sum() < 23.5
    pairs = np.corrcoef(found.T) - np.eye(3)  # The places know nothing of each other,
    assert np.abs(pairs).max() < 4 / np.sqrt(4000)
    after = np.corrcoef(found[:-1, 0], found[1:, 0])[0, 1]  # and neither do the steps.
    assert abs(after) < 4 / np.sqrt(4000)


def test_without_replacement_the_next_is_drawn_from_those_that_are_left():
    found = drawn(2, 8000, replacement=False)
    share = WEIGHTS / WEIGHTS.sum()
    left = np.where(np.eye(SIZE, dtype=bool), 0, share[None])
    with np.errstate(invalid="ignore"):
        expected = share[:, None] * left / left.sum(axis=1, keepdims=True)
    counts = np.zeros((SIZE, SIZE))
    np.add.at(counts, tuple(found.T), 1)
    there = expected > 0
    assert (counts[~there] == 0).all()
    ideal = 8000 * expected[there]
    # Nineteen degrees of freedom: exceeded once in ten thousand times.
    assert ((counts[there] - ideal) ** 2 / ideal).sum() < 51


def test_without_replacement_none_comes_twice_in_a_batch():
    found = drawn(5, 200, replacement=False)
    np.testing.assert_array_equal(np.sort(found), np.tile([1, 2, 3, 4, 6], (200, 1)))


@both_ways
@every_source
@pytest.mark.parametrize("start", [1, 9])
def test_a_stream_from_any_step_is_the_tail_of_the_whole(source, replacement, start):
    batches = fdl.data.weighted_batches(source, 3, WEIGHTS, 1, replacement=replacement)
    whole = taken(batches, 0, start + 4)
    chex.assert_trees_all_equal(whole[start:], taken(batches, start, 4))
    again = fdl.data.weighted_batches(ARRAYS, 3, WEIGHTS, 1, replacement=replacement)
    chex.assert_trees_all_equal(whole, taken(again, 0, start + 4))
    other = fdl.data.weighted_batches(source, 3, WEIGHTS, 2, replacement=replacement)
    assert any(
        (a["id"] != b["id"]).any()
        for a, b in zip(whole, taken(other, 0, start + 4), strict=True)
    )


def test_draws_never_change():
    """Runs are resumed years later: these are the numbers of Philox4x64-10."""
    raw = np.random.Philox(
        key=np.array([5, 2], np.uint64), counter=[0, 0, 0, 1]
    ).random_raw(6)
    heights, expected = np.cumsum(WEIGHTS), []
    for number in raw:
        u = ((int(number) >> 11) + 1) / 2**53
        expected.append(next(i for i in range(SIZE) if heights[i] >= u * heights[-1]))
    batches = fdl.data.weighted_batches(ARRAYS, 6, WEIGHTS, 5)
    (item,) = islice(batches.stream(2), 1)
    assert item["index"].tolist() == expected == [3, 3, 2, 2, 3, 3]


def test_balanced_batches_show_each_class_equally_often():
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    weights = fdl.data.class_weights(labels)[labels]
    batches = fdl.data.weighted_batches({"label": labels}, 100, weights)
    shown = np.concatenate([b["label"] for b in taken(batches, 0, 60)])
    counts = np.bincount(shown)
    # Two degrees of freedom: exceeded once in ten thousand times.
    assert ((counts - 2000) ** 2 / 2000).sum() < 18.4


def test_an_epoch_draws_as_many_as_there_are():
    batches = fdl.data.weighted_batches(ARRAYS, 3, WEIGHTS)
    assert (batches.steps_per_epoch, batches.per_step) == (3, 3)
    assert all(batch.keys() == {"id"} for batch in taken(batches, 0, 4))


def test_a_run_is_not_resumed_with_other_weights():
    fingerprints = {
        batches.fingerprint
        for batches in (
            fdl.data.batches(ARRAYS, 3),
            fdl.data.weighted_batches(ARRAYS, 3, WEIGHTS),
            fdl.data.weighted_batches(ARRAYS, 3, WEIGHTS + 1),
        )
    }
    assert len(fingerprints) == 3


@pytest.mark.parametrize(
    "weights, options, message",
    [
        (WEIGHTS[1:], {}, r"weights: expected one per example, \[7\], got \[6\]"),
        (WEIGHTS - 1, {}, r"weights\[0\]=-1"),
        (WEIGHTS * np.nan, {}, r"weights\[0\]=nan"),
        (WEIGHTS * 0, {}, "weights: expected at least one above 0"),
        (
            np.eye(SIZE)[0],
            {"replacement": False},
            "batch_size=3: expected at most 1, the number of weights above",
        ),
    ],
)
def test_wrong_weights_are_refused(weights, options, message):
    with pytest.raises(UserError, match=message):
        fdl.data.weighted_batches(ARRAYS, 3, weights, **options)


def test_class_weights_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    for num_classes in (1, 2, 5):
        labels = np.append(
            random.integers(num_classes, size=40), np.arange(num_classes)
        )
        expected = compute_class_weight(
            "balanced", classes=np.arange(num_classes), y=labels
        )
        actual = fdl.data.class_weights(labels)
        np.testing.assert_allclose(actual, expected, rtol=1e-6)
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual[labels].mean(), 1, rtol=1e-6)


@pytest.mark.parametrize(
    "labels, num_classes, message",
    [
        ([0, 2], None, "all classes, got none of 1"),
        ([0, 1], 3, "all classes, got none of 2"),
        ([0, 3], 3, "labels: expected 0 to 2, got 0 to 3"),
        ([-1, 0], None, "labels: expected 0 to 0, got -1"),
        ([0.5, 1.0], None, "expected class indices"),
        ([], None, "expected class indices"),
    ],
)
def test_wrong_labels_are_refused(labels, num_classes, message):
    with pytest.raises(UserError, match=message):
        fdl.data.class_weights(np.array(labels), num_classes)
