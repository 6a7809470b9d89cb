"""Sources of examples: arrays in memory, or records that are read one by one.

A source is either a mapping of arrays that share their leading axis, or a sequence of
examples, each a mapping of arrays; TFDS's data sources are such sequences.
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

# What a device keeps of the wide types, unless JAX is told otherwise.
NARROW: dict[str, Any] = {"int64": np.int32, "uint64": np.uint32, "float64": np.float32}


def num_examples(source: Source) -> int:
    """How many examples there are.

    Raises:
      UserError: It is no source, it is empty, or its arrays differ in length.
    """
    if isinstance(source, Mapping):
        for name, array in source.items():
            if not isinstance(array, np.ndarray | jax.Array) or not array.ndim:
                raise UserError(f"{name!r} is no array [N, ...], but {array!r:.50}.")
            if not is_numeric(array.dtype):
                raise UserError(f"{name!r} holds no numbers, but {array.dtype}.")
        lengths = {name: len(array) for name, array in source.items()}
        if len(set(lengths.values())) > 1:
            raise UserError(f"The arrays differ in length: {lengths}.")
        size = next(iter(lengths.values()), 0)
    elif hasattr(source, "__len__") and hasattr(source, "__getitem__"):
        size = len(source)
    else:
        raise UserError(f"{source!r:.50} is no source: neither arrays nor a sequence.")
    if not size:
        raise UserError("There are no examples.")
    return size


def fingerprint(source: Source) -> str:
    """Identifies the data of a source, by 64 hexadecimal digits.

    Of arrays every byte counts, of TFDS's data sources what describes them and the
    names and sizes of their files, of other sequences their length and both ends.
    """
    if isinstance(source, Mapping):
        return _of_arrays(source)
    if info := getattr(source, "dataset_info", None):
        files = info.splits[source.split].filepaths  # type: ignore[attr-defined]
        sizes = [(path.name, path.stat().length) for path in files]
        text = f"{info.as_json} {source.split} {sizes}"  # type: ignore[attr-defined]
        return hashlib.sha256(text.encode()).hexdigest()
    ends = [_of_arrays(numbers(source[i])) for i in (0, len(source) - 1)]
    return hashlib.sha256(f"{len(source)} {ends}".encode()).hexdigest()


def examples(source: Records, indices: Sequence[int]) -> dict[str, np.ndarray]:
    """Fetches examples and stacks them: arrays [B, ...].

    Raises:
      UserError: A feature has not the same shape in all of them.
    """
    many = getattr(source, "__getitems__", None)
    found = many(indices) if many else [source[i] for i in indices]
    rows = [numbers(example) for example in found]
    for name in rows[0]:
        shapes = {row[name].shape for row in rows}
        if len(shapes) > 1:
            raise UserError(
                f"{name!r} has the shapes {sorted(shapes)[:3]} in one batch: "
                "bring all examples to one shape first."
            )
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def numbers(example: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What can be learnt from: the numbers of an example, by sorted name.

    Raises:
      UserError: There are none, or it is no dict.
    """
    if not isinstance(example, Mapping):
        raise UserError(f"An example has to be a dict of arrays, not {example!r:.50}.")
    arrays = {k: np.asarray(v) for k, v in sorted(example.items())}
    found = {k: narrow(k, v) for k, v in arrays.items() if is_numeric(v.dtype)}
    if not found:
        raise UserError(f"There are no numbers in {', '.join(example)}.")
    return found


def narrow(name: str, array: np.ndarray) -> np.ndarray:
    """Brings 64 bits to 32, as a device does, but not silently.

    Raises:
      UserError: An integer does not fit.
    """
    dtype = NARROW.get(array.dtype.name)
    if dtype is None:
        return array
    check_fits(name, array, dtype)
    with np.errstate(over="ignore"):  # Infinities are noticed by whoever validates.
        return array.astype(dtype)


def check_fits(name: str, array: np.ndarray, dtype: Any) -> None:
    """Raises `UserError` if there are integers that another type has not."""
    if not array.size or array.dtype.kind not in "iu" or array.dtype == dtype:
        return
    limits, found = np.iinfo(dtype), (array.min(), array.max())
    if found[0] < limits.min or found[1] > limits.max:
        raise UserError(f"{name!r} goes from {found[0]} to {found[1]}: over 32 bits.")


def is_numeric(dtype: Any) -> bool:
    """Whether there are numbers or booleans of this type on a device."""
    return any(jax.dtypes.issubdtype(dtype, kind) for kind in (np.number, np.bool_))


def _of_arrays(arrays: Arrays) -> str:
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        array = np.ascontiguousarray(array)
        total.update(f"{name} {array.dtype} {array.shape} ".encode())
        total.update(array.reshape(-1).view(np.uint8).data)
    return total.hexdigest()
