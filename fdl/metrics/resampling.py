"""A metric of many selections of examples."""

import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.types import Array, Metric

NUMBERS_AT_ONCE = 2**23  # Bounds the memory of resampled examples.


def of_indices(
    metric: Callable[..., Metric | Array],
) -> Callable[[Sequence[Array], np.ndarray], np.ndarray]:
    """A metric as a function of the indices of examples; compiled once.

    Args:
      metric: ``metric(*arrays)``.

    Returns:
      ``measure(arrays, indices)``, of arrays [N, ...] and int [..., n], float64 [...].
    """

    def of_row(arrays, row):
        return value_of(metric(*(array[row] for array in arrays)))

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
    """Applies a function to so many rows at once that memory lasts.

    Args:
      function: Of rows [R, n], to [R]; compiled once, as all blocks have one shape.
      rows: Any [R, n].
      numbers: How many it makes of one of a row.

    Returns:
      Float64 [R].
    """
    size = min(len(rows), rows_at_once(rows.shape[-1] * numbers))
    whole = -(-len(rows) // size) * size
    padded = rows[np.arange(whole) % len(rows)] if whole > len(rows) else rows
    parts = [function(padded[i : i + size]) for i in range(0, whole, size)]
    return np.concatenate(parts).astype(np.float64)[: len(rows)]


def width(arrays: Sequence[Array]) -> int:
    """How many numbers there are of one example."""
    return sum(array[0].size for array in arrays)


def value_of(found: Metric | Array) -> Array:
    """The number that a metric says, or that it is."""
    return found if isinstance(found, jax.Array) else found.compute()


def blocks(num_rows: int, numbers: int) -> Iterator[int]:
    """How many rows to make at once, until there are all."""
    size = rows_at_once(numbers)
    for start in range(0, num_rows, size):
        yield min(size, num_rows - start)


def rows_at_once(numbers: int) -> int:
    """How many rows of so many numbers are held at once."""
    return max(1, NUMBERS_AT_ONCE // numbers)


def num_examples(arrays: Sequence[Array]) -> int:
    """The length that arrays share.

    Raises:
      UserError: They share none, or it is zero.
    """
    shapes = [np.shape(array) for array in arrays]
    lengths = {shape[0] if shape else 0 for shape in shapes}
    if len(lengths) != 1 or 0 in lengths:
        shown = ", ".join(str(list(shape)) for shape in shapes)
        raise UserError(f"arrays are {shown}: expected one row for each example in all")
    return lengths.pop()
