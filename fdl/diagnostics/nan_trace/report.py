"""Description of one operation with a non-finite result."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from fdl.diagnostics.nan_trace.traceback import Frame, frames


class ArraySummary(NamedTuple):
    """Summary of an array.

    Attributes:
      type: Dtype and shape, as in ``float32[16, 10]``.
      minimum: Minimum of the finite elements; None if there are none.
      maximum: Maximum of the finite elements; None if there are none.
      num_nonfinite: Number of elements that are NaN or infinite.
      size: Number of elements.
      value: Element at the position of the operation; None for an array of another
        shape than the result, or without floating-point numbers.
    """

    type: str
    minimum: float | None
    maximum: float | None
    num_nonfinite: int
    size: int
    value: float | None


class Operation(NamedTuple):
    """Operation, with a summary of its operands and its result.

    Attributes:
      primitive: Name of the jax primitive.
      frames: Stack of source lines that led to it, outermost first.
      scope: Name stack: the enclosing transformations and modules.
      loops: Iteration of each enclosing loop, outermost first.
      operands: Summaries of the operands.
      result: Summary of the result.
      position: Index of the first non-finite element of the result; of the first NaN if
        there is one.
    """

    primitive: str
    frames: tuple[Frame, ...]
    scope: str
    loops: tuple[str, ...]
    operands: tuple[ArraySummary, ...]
    result: ArraySummary
    position: tuple[int, ...]

    @property
    def backward(self) -> bool:
        """True if the operation belongs to a backward pass."""
        return "transpose(" in self.scope


def describe_operation(
    equations: Sequence[Any],
    loops: tuple[str, ...],
    operands: Sequence[Any],
    result: Any,
) -> Operation:
    """Description of an operation with a non-finite result.

    Args:
      equations: Equation of the operation, last, after all that enclose it, outermost
        first.
      loops: Iteration of each enclosing loop, outermost first.
      operands: Values of the operands.
      result: Value of the result.
    """
    array = inexact_array(result)
    nonfinite = ~np.isfinite(array)
    # Where there are both, NaN is the graver: infinities may be intended.
    if np.isnan(array).any():
        nonfinite = np.isnan(array)
    position = tuple(map(int, np.argwhere(nonfinite)[0]))
    scopes = (str(equation.source_info.name_stack) for equation in equations)
    return Operation(
        equations[-1].primitive.name,
        frames(equations),
        "/".join(filter(None, scopes)),
        loops,
        tuple(_summarize(value, position, array.shape) for value in operands),
        _summarize(result, position, array.shape),
        position,
    )


def nonfinite_kind(value: Any) -> str:
    """Returns "nan" if an array contains NaN, "inf" if only infinity, else ""."""
    array = inexact_array(value)
    if np.isfinite(array).all():
        return ""
    return "nan" if np.isnan(array).any() else "inf"


def inexact_array(value: Any) -> np.ndarray:
    """Floating-point or complex array on the host; an empty one for other dtypes."""
    dtype = getattr(value, "dtype", None) or np.asarray(value).dtype
    # jnp, unlike NumPy, knows bfloat16 as inexact, and random keys, which have no
    # NumPy array, as none.
    inexact = jnp.issubdtype(dtype, jnp.inexact)
    return np.asarray(value) if inexact else np.zeros(0, np.float32)


def _summarize(
    value: Any, position: tuple[int, ...], shape: tuple[int, ...]
) -> ArraySummary:
    """Summary of an array, where `shape` is that of the result of the operation."""
    dtype, value_shape = jnp.result_type(value), np.shape(value)
    type_name, size = f"{dtype}{list(value_shape)}", int(np.prod(value_shape))
    if not jnp.issubdtype(dtype, jnp.inexact):
        return ArraySummary(type_name, None, None, 0, size, None)
    array = np.asarray(value)
    # Complex numbers have no order, so their magnitudes are summarised.
    reals = np.abs(array) if array.dtype.kind == "c" else array.astype(np.float64)
    finite = reals[np.isfinite(reals)]
    minimum, maximum = (
        (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    )
    element = None
    # Elements correspond only where no axis was reduced, transposed or added.
    if value_shape in (shape, ()):
        element = float(reals[position if value_shape else ()])
    return ArraySummary(type_name, minimum, maximum, size - finite.size, size, element)
