"""Reading of npz files, and conversion of inputs to the dtype of a dataset."""

import os
import pathlib
import zipfile
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError, near
from fdl.files import opened

# Zeros are packed a thousandfold, arrays that were measured less than tenfold.
MAX_UNPACKED, MAX_RATIO = 1 << 30, 100


def read_npz(path: pathlib.Path, name: str) -> np.ndarray:
    """Reads an array from an npz file, without unpickling.

    Args:
      path: Path of the file.
      name: Name of the array.

    Returns:
      Integer, floating-point or boolean array [N, ...].

    Raises:
      UserError: The file is missing or damaged, or has no such array of numbers.
    """
    return read_arrays(path, [name])[name]


def read_arrays(path: pathlib.Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads arrays [N, ...] from an npz file, without unpickling; see `read_npz`."""
    arrays = load_npz(path, names)
    for name, array in arrays.items():
        if not array.ndim or array.dtype.kind not in "iufb":
            shown = f"{array.dtype} {list(array.shape)}"
            raise UserError(f"{name!r} in {path} is {shown}: expected numbers [N, ...]")
    return arrays


def load_npz(
    path: pathlib.Path, names: Sequence[str], *, max_bytes: int | None = None
) -> dict[str, np.ndarray]:
    """Loads arrays of any shape from an npz file, without unpickling.

    Args:
      path: Path of the file.
      names: Names of the arrays; others are not read.
      max_bytes: Largest size of the content, uncompressed. Default: any that memory
        holds, but no more than 1 GiB or a hundred times the size of the file.

    Raises:
      UserError: The file is missing, damaged or too large, or lacks an array.
    """
    damaged = UserError(f"{path}: expected an undamaged npz file")
    try:
        with opened(path) as file:
            # The sizes come first: a few bytes may unpack to more than memory holds.
            with zipfile.ZipFile(file) as archive:
                size = sum(member.file_size for member in archive.infolist())
            packed = file.seek(0, os.SEEK_END)
            limit = max_bytes or max(MAX_UNPACKED, MAX_RATIO * packed)
            if size > limit:
                raise UserError(
                    f"{path}: expected to unpack to at most {limit} bytes, got {size}"
                )
            file.seek(0)
            # Object arrays would run code when they are loaded.
            with np.load(file, allow_pickle=False) as content:
                for name in names:
                    if name not in content:
                        raise UserError(
                            f"{name!r}: expected an array in {path}. "
                            f"{near(name, content)}"
                        )
                arrays = {name: content[name] for name in names}
    except UserError:
        raise
    # Of a damaged file, zipfile, zlib and NumPy raise more than a dozen exceptions.
    except Exception:
        raise damaged from None
    # A member of the archive that does not begin like a npy file is read as bytes.
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise damaged
    return arrays


def as_dtype(
    inputs: np.ndarray,
    dtype: np.dtype,
    name: str,
    *,
    columns: Sequence[str] = (),
    limits: tuple[float, float] | None = None,
) -> np.ndarray:
    """Inputs converted to the dtype of a dataset, if it can represent them.

    Args:
      inputs: Array of numbers.
      dtype: Dtype of the dataset.
      name: Name of the inputs, for errors.
      columns: Names of the last axis of inputs [N, F], for errors.
      limits: Smallest and largest valid value. Default: those of the dtype.

    Raises:
      UserError: The inputs are not finite or out of range; or the dtype is one of
        integers or booleans, and they have a fractional part. The text names the first
        such row, which count from 1, and its column.
    """

    def check(valid: np.ndarray, expected: str) -> None:
        if not valid.all():
            index = np.unravel_index(np.argmin(valid), valid.shape)
            text = f"{place(name, index, columns)}: expected {expected}"
            raise UserError(f"{text}, got {float(inputs[index]):g}")

    columns = names_of(inputs, columns)
    dtype = jnp.dtype(dtype)
    check(np.isfinite(inputs), "finite numbers")
    with np.errstate(invalid="ignore", over="ignore"):
        converted = inputs.astype(dtype)
    low, high = limits or _limits(dtype)
    whole = not jnp.issubdtype(dtype, jnp.inexact)
    kind = "whole numbers" if whole else "numbers"
    expected = f"{kind} from {low:.15g} to {high:.15g} ({dtype})"
    if not whole:
        # A limit such as 0.1 is another number in float32, and so is what equals it.
        low, high = (float(np.array(x).astype(dtype)) for x in (low, high))
    if not whole or jnp.issubdtype(inputs.dtype, jnp.inexact):
        # A Python number would become one of half precision, which may be infinity.
        low, high = np.float64(low), np.float64(high)
    values = inputs if whole else converted
    valid = (values >= low) & (values <= high)
    # A number at the edge of 64 bits may be in range, but no longer when it is rounded.
    check(valid & (converted == inputs) if whole else valid, expected)
    return converted


def _limits(dtype: np.dtype) -> tuple[float, float]:
    """Smallest and largest finite value of a dtype."""
    if dtype.kind == "b":
        return 0, 1
    inexact = jnp.issubdtype(dtype, jnp.inexact)
    info: Any = jnp.finfo(dtype) if inexact else jnp.iinfo(dtype)
    return (float(info.min), float(info.max)) if inexact else (info.min, info.max)


def names_of(array: np.ndarray, columns: Sequence[str]) -> Sequence[str]:
    """Names of the last axis of an array [N, F]; none unless there is one for each.

    Of the arrays of a table, those of its features have names.
    """
    return columns if array.shape[1:] == (len(columns),) else ()


def place(name: str, index: Sequence[Any], columns: Sequence[str] = ()) -> str:
    """Position of an element in words, such as ``'features', row 3, column 'age'``.

    Args:
      name: Name of the array [N, ...].
      index: Index of the element.
      columns: Names of the last axis of an array [N, F]; empty if unknown.
    """
    row, *rest = map(int, index)
    text = f"{name!r}, row {row + 1}"
    if len(rest) == 1:
        return f"{text}, column {columns[rest[0]] if columns else rest[0] + 1!r}"
    return f"{text}, at {rest}" if rest else text
