"""Variables of any module in a file: exact, and files of strangers."""

import json

import flax
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from fdl import models
from fdl.errors import UserError
from fdl.models.pretrained import load_variables, save_variables

DTYPES = [
    *("bool", "bfloat16", "float16", "float32", "float64", "int8", "int16", "int32"),
    *("int64", "uint8", "uint16", "uint32", "uint64"),
]


def written_and_read(tmp_path, variables):
    save_variables(tmp_path / "x.safetensors", variables)
    return load_variables(tmp_path / "x.safetensors")


def assert_same(actual, expected):
    """Bit for bit, in dtype, in shape and in structure."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for one, other in zip(*map(jax.tree.leaves, (actual, expected)), strict=True):
        assert type(one) is np.ndarray
        assert one.dtype == other.dtype and one.shape == other.shape
        assert one.tobytes() == np.asarray(other).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_bit_comes_back(tmp_path, dtype):
    bits = np.random.RandomState(0).bytes(256)
    dtype = np.dtype(getattr(ml_dtypes, dtype, dtype))
    array = np.frombuffer(bits, dtype) if dtype.kind != "b" else np.array([True, False])
    variables = {"params": {"array": array, "scalar": array[0], "none": array[:0]}}
    assert_same(written_and_read(tmp_path, variables), variables)


def test_all_collections_come_back(tmp_path):
    variables = {
        "params": {"dense_0": {"kernel": jnp.arange(6.0).reshape(2, 3).T}, "none": {}},
        "batch_stats": {},
        "observation_stats": {"count": jnp.int32(3), "mean": np.float32([1, 2])},
        "a.b": {"c/d": {"~1": {"~": jnp.ones(1), "/": {}}}, "é ": jnp.zeros(())},
    }
    assert_same(written_and_read(tmp_path, variables), variables)
    assert written_and_read(tmp_path, {}) == {}
    frozen = flax.core.freeze(variables)
    assert_same(written_and_read(tmp_path, frozen), variables)


def test_a_file_can_be_loaded_into_a_module(tmp_path):
    module = models.MLP((4,), 3, norm=flax.linen.BatchNorm, input_shape=(2,))
    variables = jax.jit(models.functional(module).init)(jax.random.key(0))
    save_variables(tmp_path / "x.safetensors", variables)
    loaded, report = models.load(tmp_path / "x.safetensors", into=module)
    assert report.format == "fdl" and not report.missing
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)


def deep(depth):
    return {"x": deep(depth - 1)} if depth else {"x": np.ones(1)}


@pytest.mark.parametrize(
    "variables, expected",
    [
        (np.ones(3), "variables is a ndarray: expected nested dicts of arrays"),
        ({"params": {"a": [np.ones(1)]}}, "params/a is a list: expected an array"),
        ({"params": {"a": 1.0}}, "params/a is a float: expected an array"),
        ({"params": {3: np.ones(1)}}, "the key 3 is a int: expected a string"),
        ({"a": np.ones(1, "complex64")}, "a is of dtype complex64: expected one of bf"),
        ({"a": np.array(["x"])}, "a is of dtype <U1: expected"),
        ({"a": np.ones(1, ">f4")}, "a is of dtype >f4: expected"),
        ({"key": jax.random.key(0)}, "key is of dtype key<fry>: expected"),
        (deep(100), "variables: expected at most 64 nested dicts"),
    ],
)
def test_what_a_file_cannot_hold_is_told(tmp_path, variables, expected):
    with pytest.raises(UserError, match=expected):
        save_variables(tmp_path / "x.safetensors", variables)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "names, empty, expected",
    [
        (["a", "a/b"], "[]", "damaged: a/b is both an array and a dict"),
        (["a/b", "a/b/c/d"], "[]", "damaged: a/b/c/d is both an array and a dict"),
        (["a"], '["a"]', "damaged: a is both"),
        (["a"], '["a/b"]', "damaged: a/b is both"),
        (["a/b"], '["a"]', "damaged: a is both"),
        (["x/" * 10_000], "[]", "expected at most 64 nested dicts"),
        (["a"], json.dumps(["x/" * 10_000]), "expected at most 64 nested dicts"),
        (["a"], "[" * 100_000, "empty in its header is no list of paths"),
        (["a"], "[3]", "empty in its header is no list of paths"),
        (["a"], "3", "empty in its header is no list of paths"),
    ],
)
def test_a_file_that_holds_no_nested_dicts_is_one_line(
    tmp_path, names, empty, expected
):
    path = tmp_path / "x.safetensors"
    save_file({name: np.ones(1) for name in names}, path, {"empty": empty})
    with pytest.raises(UserError, match=expected) as caught:
        load_variables(path)
    text = str(caught.value)
    assert str(path) in text and text.isprintable() and len(text) < 1_000
