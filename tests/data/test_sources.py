"""A fingerprint tells data apart."""

import jax.numpy as jnp
import numpy as np
import pytest

import fdl.data

ARRAYS: dict[str, np.ndarray] = {
    "x": np.arange(12.0, dtype=np.float32).reshape(6, 2),
    "y": np.arange(6),
}


def changed(name, index, value):
    array = ARRAYS[name].copy()
    array[index] = value
    return {**ARRAYS, name: array}


OTHERS = {
    "one number": changed("x", (5, 1), 11.000001),
    "a type": {**ARRAYS, "y": ARRAYS["y"].astype(np.int32)},
    "a shape": {**ARRAYS, "x": ARRAYS["x"].reshape(6, 1, 2)},
    "a name": {"x": ARRAYS["x"], "z": ARRAYS["y"]},
    "the order": {name: array[::-1] for name, array in ARRAYS.items()},
    "less": {"x": ARRAYS["x"]},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_other_data_has_another_fingerprint(other):
    assert fdl.data.fingerprint(other) != fdl.data.fingerprint(ARRAYS)


@pytest.mark.parametrize(
    "same",
    [
        {name: ARRAYS[name].copy() for name in ("y", "x")},
        {**ARRAYS, "x": np.asfortranarray(ARRAYS["x"])},
        {**ARRAYS, "x": jnp.asarray(ARRAYS["x"])},
    ],
    ids=["copy", "layout", "device"],
)
def test_the_same_numbers_have_the_same_fingerprint(same):
    assert fdl.data.fingerprint(same) == fdl.data.fingerprint(ARRAYS)


def test_records_are_told_apart_by_length_and_ends():
    def records(*values):
        return [{"x": np.float32(value)} for value in values]

    seen = [records(0, 1, 2), records(0, 1, 3), records(9, 1, 2), records(0, 1, 1, 2)]
    assert len({fdl.data.fingerprint(source) for source in seen}) == 4
