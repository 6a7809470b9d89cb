"""Batches made of batches."""

from itertools import islice

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl.data
from fdl.errors import UserError

ARRAYS: dict[str, np.ndarray] = {
    "x": np.arange(7, dtype=np.uint8),
    "y": np.arange(14.0).reshape(7, 2),
}
RECORDS = [{k: v[i] for k, v in ARRAYS.items()} for i in range(7)]
every_source = pytest.mark.parametrize(
    "source", [ARRAYS, RECORDS], ids=["arrays", "records"]
)


def taken(batches, start, num_steps):
    take, data = jax.jit(batches.take), jax.device_put(batches.data)
    return [take(data, item) for item in islice(batches.stream(start), num_steps)]


def test_nothing_comes_without_end():
    batches = fdl.data.no_data(per_step=128, unit="environment steps")
    assert list(islice(batches.stream(5), 3)) == [None] * 3
    assert batches.take(batches.data, None) is None
    assert (batches.per_step, batches.unit) == (128, "environment steps")
    assert batches.steps_per_epoch is None


@every_source
def test_stacked_batches_are_those_of_each_run(source):
    runs = [fdl.data.batches(source, 3, seed=seed) for seed in range(4)]
    stacked = fdl.data.stack(runs)
    expected = [
        jax.tree.map(lambda *x: jnp.stack(x), *batches)
        for batches in zip(*(taken(run, 2, 5) for run in runs), strict=True)
    ]
    chex.assert_trees_all_equal(taken(stacked, 2, 5), expected)
    assert stacked.batch_axis == 1
    assert stacked.per_step == 3
    assert stacked.fingerprint == runs[0].fingerprint


def test_stacked_runs_share_their_data():
    runs = [fdl.data.batches(ARRAYS, 3, seed=seed) for seed in range(2)]
    assert fdl.data.stack(runs).data["x"] is ARRAYS["x"]


def test_stacked_runs_may_have_gaps_in_their_data():
    runs = [fdl.data.batches({"x": x.copy()}, 2) for x in [np.array([1.0, np.nan])] * 2]
    assert fdl.data.stack(runs).data["x"].shape == (2,)


def test_nothing_stacked_is_nothing():
    stacked = fdl.data.stack([fdl.data.no_data(8)] * 3)
    (item,) = islice(stacked.stream(0), 1)
    assert stacked.take(stacked.data, item) is None


@pytest.mark.parametrize(
    "other, message",
    [
        (fdl.data.batches({**ARRAYS, "x": ARRAYS["x"] + 1}, 3), "fingerprint"),
        (fdl.data.batches(ARRAYS, 2), "per_step"),
        (fdl.data.batches(ARRAYS, 3, drop_remainder=True), "steps_per_epoch"),
        (fdl.data.batches(ARRAYS, 3)._replace(data={"x": ARRAYS["x"]}), "data"),
        (fdl.data.batches(ARRAYS, 3)._replace(data={"x": np.ones(7)}), "data"),
    ],
)
def test_runs_of_different_data_are_not_stacked(other, message):
    with pytest.raises(UserError, match=message):
        fdl.data.stack([fdl.data.batches(ARRAYS, 3), other])


def test_there_has_to_be_something_to_stack():
    with pytest.raises(UserError, match="at least one run"):
        fdl.data.stack([])


@every_source
def test_transforming_is_done_to_each_batch(source):
    def scale(batch):
        return {**batch, "x": batch["x"] / 255}

    batches = fdl.data.batches(source, 3)
    scaled = fdl.data.transform(batches, scale)
    expected = [scale(batch) for batch in taken(batches, 0, 4)]
    chex.assert_trees_all_close(taken(scaled, 0, 4), expected, rtol=1e-6)
    assert scaled.data is batches.data  # Bytes stay bytes until they are used.
    assert scaled.fingerprint == batches.fingerprint


def test_stacking_and_transforming_commute():
    def halve(batch):
        return jax.tree.map(lambda x: x / 2, batch)

    runs = [fdl.data.batches(ARRAYS, 3, seed=seed) for seed in range(2)]
    inside = fdl.data.stack([fdl.data.transform(run, halve) for run in runs])
    outside = fdl.data.transform(fdl.data.stack(runs), halve)
    chex.assert_trees_all_equal(taken(inside, 0, 3), taken(outside, 0, 3))
