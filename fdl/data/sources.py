"""Sources of examples: arrays in memory, or records that are read one by one.

A source is either a mapping of arrays that share their leading axis, or a sequence of
examples, each a mapping of arrays. The data sources of TFDS are such sequences.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from fdl.errors import UserError

Arrays = Mapping[str, Any]
Records = Sequence[Mapping[str, Any]]
Source = Arrays | Records

# JAX narrows these dtypes alike, unless x64 is enabled.
NARROW: dict[str, Any] = {"int64": np.int32, "uint64": np.uint32, "float64": np.float32}


def num_examples(source: Source) -> int:
    """Number of examples of a source.

    Raises:
      UserError: It is not a source, it is empty, or its arrays differ in length.
    """
    if isinstance(source, Mapping):
        for name, array in source.items():
            if not isinstance(array, np.ndarray | jax.Array) or not array.ndim:
                raise UserError(
                    f"{name!r}: expected an array [N, ...], got {array!r:.50}"
                )
            if not is_numeric(array.dtype):
                raise UserError(f"{name!r}: expected numbers, got {array.dtype}")
        lengths = {name: len(array) for name, array in source.items()}
        if len(set(lengths.values())) > 1:
            raise UserError(f"expected arrays of equal length, got {lengths}")
        size = next(iter(lengths.values()), 0)
    elif hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        size = len(source)
        if size:
            numbers(source[0])
    else:
        raise UserError(
            f"source={source!r:.50}: expected a mapping of arrays or a sequence"
        )
    if not size:
        raise UserError("expected at least one example, got none")
    return size


def fingerprint(source: Source) -> str:
    """Fingerprint of the data of a source, 64 hexadecimal digits.

    It covers every byte of arrays; of a data source of TFDS its metadata and the names
    and sizes of its files; of other sequences their length and both ends.
    """
    if isinstance(source, Mapping):
        return _hash_arrays(source)
    # Reading all records would take as long as an epoch.
    if info := getattr(source, "dataset_info", None):
        files = info.splits[source.split].filepaths  # type: ignore[attr-defined]
        sizes = [(path.name, path.stat().length) for path in files]
        text = f"{info.as_json} {source.split} {sizes}"  # type: ignore[attr-defined]
        return hashlib.sha256(text.encode()).hexdigest()
    ends = [_hash_arrays(numbers(source[i])) for i in (0, len(source) - 1)]
    return hashlib.sha256(f"{len(source)} {ends}".encode()).hexdigest()


def examples(source: Records, indices: Sequence[int]) -> dict[str, np.ndarray]:
    """Fetches examples by index and stacks them to arrays [B, ...].

    Raises:
      UserError: A feature varies in shape.
    """
    # Data sources of TFDS read many records at once faster than one by one.
    many = getattr(source, "__getitems__", None)
    records = many(indices) if many else [source[i] for i in indices]
    rows = [numbers(record) for record in records]
    for name in rows[0]:
        shapes = {row[name].shape for row in rows}
        if len(shapes) > 1:
            raise UserError(
                f"{name!r}: expected one shape in a batch, got {sorted(shapes)[:3]}; "
                "resize or pad the examples first"
            )
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def numbers(example: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Numeric arrays of an example, sorted by name; 64 bits are narrowed to 32.

    Raises:
      UserError: There are none, or the example is not a dict.
    """
    if not isinstance(example, Mapping):
        raise UserError(f"example={example!r:.50}: expected a dict of arrays")
    arrays = {k: np.asarray(v) for k, v in sorted(example.items())}
    numeric = {k: narrow(k, v) for k, v in arrays.items() if is_numeric(v.dtype)}
    if not numeric:
        raise UserError(
            f"expected an array of numbers in an example, got only {', '.join(example)}"
        )
    return numeric


def narrow(name: str, array: np.ndarray) -> np.ndarray:
    """Narrows an array from 64 to 32 bits, as JAX does, but with a check.

    Raises:
      UserError: A number does not fit.
    """
    dtype = NARROW.get(array.dtype.name)
    if dtype is None:
        return array
    check_fits(name, array, dtype)
    return array.astype(dtype)


def check_fits(name: str, array: np.ndarray, dtype: Any) -> None:
    """Raises `UserError` if integers or floats do not fit into another dtype."""
    if not array.size or array.dtype.kind not in "iuf" or array.dtype == dtype:
        return
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            beyond = np.isinf(array.astype(dtype)) & np.isfinite(array)
        if beyond.any():
            raise UserError(
                f"{name!r}: expected numbers within {np.finfo(dtype).max:.2g}, as of "
                f"{np.dtype(dtype)}, got {array[beyond].flat[0]:g}"
            )
        return
    limits, least, largest = np.iinfo(dtype), array.min(), array.max()
    if least < limits.min or largest > limits.max:
        raise UserError(
            f"{name!r}: expected integers within 32 bits, got {least} to {largest}"
        )


def is_numeric(dtype: Any) -> bool:
    """True if the dtype is of numbers or booleans, which a device can hold."""
    # NumPy's own `issubdtype` takes bfloat16 for no number.
    return any(jax.dtypes.issubdtype(dtype, kind) for kind in (np.number, np.bool_))


def _hash_arrays(arrays: Arrays) -> str:
    """SHA-256 over the names, dtypes, shapes and bytes of arrays."""
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        array = np.ascontiguousarray(array)
        total.update(f"{name} {array.dtype} {array.shape} ".encode())
        # The view gives dtypes outside NumPy, such as bfloat16, a buffer; the reshape
        # makes it possible for scalars.
        total.update(array.reshape(-1).view(np.uint8).data)
    return total.hexdigest()
