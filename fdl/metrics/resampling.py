"""Evaluation of a metric on many resamples of the examples."""

import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.types import Array, Metric

# Bounds the memory of resampled examples: 2²³ numbers of float32 are 32 MiB.
NUMBERS_AT_ONCE = 2**23


def of_indices(
    metric: Callable[..., Metric | Array],
) -> Callable[[Sequence[Array], np.ndarray], np.ndarray]:
    """Metric as a function of the indices of examples, compiled once.

    Args:
      metric: ``metric(*arrays)``.

    Returns:
      Function ``measure(arrays, indices)`` of arrays [N, ...] and indices int [..., n],
      to float64 [...].
    """

    def of_row(arrays, row):
        return value_of(metric(*(array[row] for array in arrays)))

    # One compiled function for all calls of `measure`: BCa intervals make several.
    of_block = jax.jit(jax.vmap(of_row, in_axes=(None, 0)))

    def measure(arrays: Sequence[Array], indices: np.ndarray) -> np.ndarray:
        arrays = [jnp.asarray(array) for array in arrays]
        rows = indices.reshape(-1, indices.shape[-1])
        values = in_blocks(functools.partial(of_block, arrays), rows, width(arrays))
        return values.reshape(indices.shape[:-1])

    return measure


def in_blocks(
    function: Callable[[np.ndarray], Array], rows: np.ndarray, numbers: int
) -> np.ndarray:
    """Values of a function of rows, evaluated in blocks to bound the memory.

    Args:
      function: Function of rows [R, n], to [R].
      rows: Rows of indices or bools, [R, n].
      numbers: Number of values that the function holds for each entry of a row.

    Returns:
      Float64 [R].
    """
    size = min(len(rows), rows_at_once(rows.shape[-1] * numbers))
    # The last block is filled up with rows from the beginning, since a block of another
    # shape would be compiled anew.
    num_padded = -(-len(rows) // size) * size
    padded = rows[np.arange(num_padded) % len(rows)] if num_padded > len(rows) else rows
    parts = [function(padded[i : i + size]) for i in range(0, num_padded, size)]
    return np.concatenate(parts).astype(np.float64)[: len(rows)]


def width(arrays: Sequence[Array]) -> int:
    """Number of values per example, over all arrays."""
    return sum(array[0].size for array in arrays)


def value_of(result: Metric | Array) -> Array:
    """Value of a metric, which is a `Metric` or, for exact metrics, an array."""
    return result if isinstance(result, jax.Array) else result.compute()


def blocks(num_rows: int, numbers: int) -> Iterator[int]:
    """Sizes of blocks of rows that add up to a total, each within the memory bound.

    Args:
      num_rows: Total number of rows.
      numbers: Number of values per row.
    """
    size = rows_at_once(numbers)
    for start in range(0, num_rows, size):
        yield min(size, num_rows - start)


def rows_at_once(numbers: int) -> int:
    """Number of rows in a block, for a number of values per row; at least one."""
    return max(1, NUMBERS_AT_ONCE // numbers)


def num_examples(arrays: Sequence[Array]) -> int:
    """Number of examples, the length that all arrays have.

    Raises:
      UserError: The lengths differ, or are zero.
    """
    shapes = [np.shape(array) for array in arrays]
    lengths = {shape[0] if shape else 0 for shape in shapes}
    if len(lengths) != 1 or 0 in lengths:
        shown = ", ".join(str(list(shape)) for shape in shapes)
        raise UserError(f"array shapes {shown}: expected one row per example in all")
    return lengths.pop()
