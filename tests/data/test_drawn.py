"""Batches that are drawn on the device."""

from itertools import islice

import jax
import numpy as np
import pytest

import fdl.data
from fdl.errors import UserError


def taken(batches, start, num_steps):
    items = islice(batches.stream(start), num_steps)
    return [np.asarray(batches.take(batches.data, item)["x"]) for item in items]


def draw(key):
    return {"x": jax.random.bits(key, (2,))}


def test_batches_are_a_function_of_the_seed_and_the_number_of_the_example():
    batches = fdl.data.drawn(draw, 3, seed=1)
    first = np.concatenate(taken(batches, 0, 4))
    np.testing.assert_array_equal(np.concatenate(taken(batches, 2, 2)), first[6:])
    larger = fdl.data.drawn(draw, 6, seed=1)
    np.testing.assert_array_equal(np.concatenate(taken(larger, 0, 2)), first)
    assert len(np.unique(first)) == first.size
    assert batches.per_step == 3 and batches.steps_per_epoch is None


@pytest.mark.parametrize("seed", [0, 2, 2**32 + 1, 2**64 - 1])
def test_seeds_differ_in_all_of_their_bits(seed):
    (ours,), (others,) = (
        taken(fdl.data.drawn(draw, 2, seed=one), 0, 1) for one in (1, seed)
    )
    assert not np.isin(ours, others).any()


@pytest.mark.parametrize(("size", "seed"), [(0, 0), (2, -1), (2, 2**64), (2.0, 0)])
def test_a_wrong_size_or_seed_is_told(size, seed):
    with pytest.raises(UserError, match=r"batch_size=|seed="):
        fdl.data.drawn(draw, size, seed)


def test_what_is_held_out_is_the_same_for_every_seed_and_not_in_training():
    one, two = (fdl.data.drawn_splits(draw, 3, 4, seed) for seed in (0, 1))
    assert [part.steps_per_epoch for part in one] == [None, 1, 1]
    for name in ("validation", "test"):
        np.testing.assert_array_equal(
            *(taken(getattr(splits, name), 0, 1)[0] for splits in (one, two))
        )
    parts = [np.concatenate(taken(part, 0, 1)) for part in one]
    assert len(np.unique(np.concatenate(parts))) == 2 * (3 + 4 + 4)
