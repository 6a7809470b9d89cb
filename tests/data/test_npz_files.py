"""Npz files: what is read, and every mistake told in a line."""

import io
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest

from fdl.data.npz_files import as_dtype, read_npz
from fdl.errors import UserError

BFLOAT16 = jnp.dtype("bfloat16").type


def test_arrays_are_found_by_name(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, image=np.arange(4), other=np.zeros(1))
    assert read_npz(path, "image").tolist() == [0, 1, 2, 3]
    with pytest.raises(UserError, match=r"expected an array .* Did you mean 'image'"):
        read_npz(path, "imag")


def test_what_is_no_array_of_numbers_is_told(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, text=np.array(["a"]), one=np.float32(1))
    np.savez(tmp_path / "o.npz", object=np.array([{}], dtype=object))
    for name in ("text", "one"):
        with pytest.raises(UserError, match="expected numbers"):
            read_npz(path, name)
    with pytest.raises(UserError, match="expected an undamaged npz file"):
        read_npz(tmp_path / "o.npz", "object")
    np.savez(tmp_path / "c.npz", complex=np.ones(3, complex))
    with pytest.raises(UserError, match="complex128"):
        read_npz(tmp_path / "c.npz", "complex")
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as file:
        file.writestr("bytes", b"rubbish")
    with pytest.raises(UserError, match="expected an undamaged npz file"):
        read_npz(tmp_path / "b.npz", "bytes")
    path.write_bytes(b"PK rubbish")
    with pytest.raises(UserError, match="expected an undamaged npz file"):
        read_npz(path, "text")
    with pytest.raises(UserError, match="expected a file"):
        read_npz(tmp_path / "none.npz", "text")


def test_numbers_are_cast_where_nothing_is_lost():
    uint8, float32 = np.dtype("uint8"), np.dtype("float32")
    assert as_dtype(np.array([0.0, 255.0]), uint8, "x").dtype == uint8
    assert as_dtype(np.array([0.5]), float32, "x").dtype == float32
    assert as_dtype(np.zeros((0, 3)), uint8, "x").shape == (0, 3)  # Told later on.
    for wrong in ([0.5], [-1.0], [256.0]):
        with pytest.raises(UserError, match="expected whole numbers from 0 to 255"):
            as_dtype(np.array(wrong), uint8, "x")
    with pytest.raises(UserError, match="expected finite numbers"):
        as_dtype(np.array([np.nan]), float32, "x")


@pytest.mark.parametrize(
    "number, dtype, fits",
    [
        (np.float64(2.0**63), "int64", False),
        (np.uint64(2**64 - 1), "int64", False),
        (np.int64(2**53 + 1), "int64", True),
        (np.float16(65504), "uint16", True),
        (np.float16(65504), "uint8", False),
        (np.float64(65504), "float16", True),
        (np.float64(65520), "float16", False),
        (np.float64(1e39), "float32", False),
        (np.float64(1e39), "bfloat16", False),
        (BFLOAT16(1.5), "float16", True),
        (BFLOAT16(3), "int8", True),
        (np.int8(-1), "uint8", False),
        (np.bool_(True), "uint8", True),
        (np.int8(2), "bool", False),
        (np.float32(1), "bool", True),
    ],
)
def test_numbers_at_the_edge_of_a_dtype(number, dtype, fits):
    array = np.array([0, number], number.dtype)
    if fits:
        converted = as_dtype(array, jnp.dtype(dtype), "x")
        assert converted.dtype == dtype and converted[1] == number
    else:
        with pytest.raises(UserError, match="'x', row 2: expected"):
            as_dtype(array, jnp.dtype(dtype), "x")


def test_limits_are_numbers_of_the_dtype():
    for dtype in ("float16", "bfloat16", "float32"):
        array = np.array([0.1]).astype(dtype)
        assert as_dtype(array, jnp.dtype(dtype), "x", limits=(0, 0.1)) == array
        with pytest.raises(UserError, match="'x', row 1: expected numbers from 0 to"):
            as_dtype(array, jnp.dtype(dtype), "x", limits=(0, 0.09))


def test_what_unpacks_to_too_much_is_told(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros(1 << 20, np.uint8))
    assert read_npz(path, "x").sum() == 0
    monkeypatch.setattr("fdl.data.npz_files.MAX_UNPACKED", 1 << 19)
    with pytest.raises(
        UserError, match=r"expected to unpack to at most \d+ bytes, got 1"
    ):
        read_npz(path, "x")
    np.savez(path, x=np.zeros(1 << 20, np.uint8))  # As large as what it holds.
    assert read_npz(path, "x").sum() == 0


@pytest.mark.parametrize("shape", [(10**14,), (2,), (-1,), (1,) * 99])
def test_shapes_that_a_file_does_not_hold_are_told(tmp_path, shape):
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, header)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content.getvalue() + bytes(8))
    with pytest.raises(UserError, match="expected an undamaged npz file"):
        read_npz(tmp_path / "a.npz", "x")
