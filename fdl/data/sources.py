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
            if not is_numeric(array.dtype) and not is_text(array):
                raise UserError(f"{name!r}: expected numbers, got {array.dtype}")
        lengths = {name: len(array) for name, array in source.items()}
        if lengths and not without_text(source):
            raise UserError(
                f"{next(iter(lengths))!r} is text: expected numbers, as "
                "fdl.data.preprocessing.text makes of it"
            )
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


def examples(
    source: Records, indices: Sequence[int], texts: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Fetches examples by index and stacks them to arrays [B, ...].

    Args:
      source: Examples.
      indices: Which ones.
      texts: Names of their texts in UTF-8, which become str objects; bytes that are
        none become the replacement character. Others are left out.

    Raises:
      UserError: A feature varies in shape.
    """
    # Data sources of TFDS read many records at once faster than one by one.
    many = getattr(source, "__getitems__", None)
    records = many(indices) if many else [source[i] for i in indices]
    rows = [_with_texts(r, texts) if texts else numbers(r) for r in records]
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
    numeric = _numeric(example)
    if not numeric:
        raise UserError(
            f"expected an array of numbers in an example, got only {', '.join(example)}"
        )
    return numeric


def _numeric(example: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Numeric arrays of an example, if there are any; see `numbers`."""
    arrays = {k: np.asarray(v) for k, v in sorted(example.items())}
    return {k: narrow(k, v) for k, v in arrays.items() if is_numeric(v.dtype)}


def _with_texts(
    example: Mapping[str, Any], texts: Sequence[str]
) -> dict[str, np.ndarray]:
    """Numeric arrays of an example, and texts as arrays of one str object."""
    return _numeric(example) | {
        name: np.array(bytes(example[name]).decode(errors="replace"), object)
        for name in texts
    }


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


def is_text(array: Any) -> bool:
    """True of an array of str objects, which no device can hold."""
    return array.dtype.kind == "O" and all(isinstance(x, str) for x in array.flat)


def without_text(source: Arrays) -> dict[str, Any]:
    """Arrays of a source, without those of text."""
    return {name: array for name, array in source.items() if not is_text(array)}


def is_numeric(dtype: Any) -> bool:
    """True if the dtype is of numbers or booleans, which a device can hold."""
    # NumPy's own `issubdtype` takes bfloat16 for no number.
    return any(jax.dtypes.issubdtype(dtype, kind) for kind in (np.number, np.bool_))


def _hash_arrays(arrays: Arrays) -> str:
    """SHA-256 over the names, dtypes, shapes and bytes of arrays."""
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        if is_text(array):
            # With the length of each, so that no two lists of texts are taken for one.
            texts = "".join(f"{len(text)} {text}" for text in array.flat)
            array = np.frombuffer(texts.encode(errors="surrogatepass"), np.uint8)
        array = np.ascontiguousarray(array)
        total.update(f"{name} {array.dtype} {array.shape} ".encode())
        # The view gives dtypes outside NumPy, such as bfloat16, a buffer; the reshape
        # makes it possible for scalars.
        total.update(array.reshape(-1).view(np.uint8).data)
    return total.hexdigest()
