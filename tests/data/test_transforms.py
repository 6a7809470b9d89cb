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
def test_zipped_batches_are_those_of_each_run(source):
    runs = [fdl.data.batches(source, 3, seed=seed) for seed in range(4)]
    zipped = fdl.data.zip_batches(runs)
    expected = [*zip(*(taken(run, 2, 5) for run in runs), strict=True)]
    chex.assert_trees_all_equal(taken(zipped, 2, 5), expected)
    assert (zipped.batch_axis, zipped.per_step, zipped.steps_per_epoch) == (0, 3, 3)
    assert zipped.fingerprint == runs[0].fingerprint


def test_runs_of_equal_data_share_it():
    copied = {name: array.copy() for name, array in ARRAYS.items()}
    runs = [fdl.data.batches(source, 3) for source in (ARRAYS, copied)]
    (shared,) = fdl.data.zip_batches(runs).data
    assert shared["x"] is ARRAYS["x"]
    gaps = [fdl.data.batches({"x": np.array([1.0, np.nan])}, 2) for _ in range(2)]
    assert len(fdl.data.zip_batches(gaps).data) == 1


def test_runs_may_have_data_of_their_own_of_any_shape():
    shorter = {name: array[:4] + 1 for name, array in ARRAYS.items()}
    replaced = fdl.data.batches(ARRAYS, 3)._replace(data={"x": np.ones(7)})
    runs = [fdl.data.batches(ARRAYS, 3), fdl.data.batches(shorter, 3), replaced]
    zipped = fdl.data.zip_batches(runs)
    expected = [*zip(*(taken(run, 0, 4) for run in runs), strict=True)]
    chex.assert_trees_all_equal(taken(zipped, 0, 4), expected)
    assert zipped.steps_per_epoch == 3
    orders = [runs, runs[:2], runs[1::-1], runs[:1]]
    assert len({fdl.data.zip_batches(some).fingerprint for some in orders}) == 4


def test_nothing_zipped_is_nothing():
    zipped = fdl.data.zip_batches([fdl.data.no_data(8)] * 3)
    (item,) = islice(zipped.stream(0), 1)
    assert zipped.take(zipped.data, item) == (None,) * 3
    assert zipped.steps_per_epoch is None


@pytest.mark.parametrize(
    "other, message",
    [
        (fdl.data.batches(ARRAYS, 2), r"runs\[1\].per_step=2: expected 3"),
        (fdl.data.no_data(3), "runs.*unit='steps': expected 'examples'"),
        (
            fdl.data.batches(ARRAYS, 3)._replace(batch_axis=1),
            "batch_axis=1: .* 0",
        ),
    ],
)
def test_runs_take_the_same_steps(other, message):
    with pytest.raises(UserError, match=message):
        fdl.data.zip_batches([fdl.data.batches(ARRAYS, 3), other])


def test_there_has_to_be_something_to_zip():
    with pytest.raises(UserError, match="at least one run"):
        fdl.data.zip_batches([])


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


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize(
    "dtype, expected",
    [
        ("uint8", "float32"),
        ("int32", "float32"),
        ("bool", "float32"),
        ("bfloat16", "bfloat16"),
        ("float16", "float16"),
        ("float32", "float32"),
    ],
)
def test_scaling_rounds_once(dtype, expected, x64):
    """Constants of half precision would be off by a part in 256."""
    numbers = np.arange(256).astype(jnp.dtype(dtype))
    batches = fdl.data.batches({"x": numbers}, 256, shuffle=False)
    with jax.enable_x64(x64):
        (batch,) = taken(fdl.data.scale(batches, x=np.float32(1 / 255)), 0, 1)
    assert batch["x"].dtype == jnp.dtype(expected)
    exact = (numbers.astype(np.float64) * np.float32(1 / 255)).astype(expected)
    np.testing.assert_array_equal(np.asarray(batch["x"]), exact)


def test_scaling_names_an_array_that_is_not_there():
    batches = fdl.data.scale(fdl.data.batches(ARRAYS, 3), xx=2)
    with pytest.raises(UserError, match=r"'xx': expected an array\. Did you mean 'x'"):
        taken(batches, 0, 1)
    with pytest.raises(UserError, match=r"factors\.x=nan: expected a finite number"):
        fdl.data.scale(batches, x=float("nan"))


def test_zipping_and_transforming_commute():
    def halve(batch):
        return jax.tree.map(lambda x: x / 2, batch)

    runs = [fdl.data.batches(ARRAYS, 3, seed=seed) for seed in range(2)]
    inside = fdl.data.zip_batches([fdl.data.transform(run, halve) for run in runs])
    outside = fdl.data.transform(fdl.data.zip_batches(runs), halve)
    chex.assert_trees_all_equal(taken(inside, 0, 3), taken(outside, 0, 3))
