"""What there is to say of one operation that made what is not finite."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from fdl.tools.frames import Frame, frames


class Values(NamedTuple):
    """What there is to say of an array.

    Attributes:
      type: Its dtype and shape: ``float32[16, 10]``.
      least: Of its finite numbers; None if there are none.
      greatest: Likewise.
      bad: How many of them are not finite.
      size: How many there are.
      sample: That at the place of the operation, if there is such a place.
    """

    type: str
    least: float | None
    greatest: float | None
    bad: int
    size: int
    sample: float | None


class Operation(NamedTuple):
    """An operation, as it ran.

    Attributes:
      primitive: Its name, as jax has it.
      frames: The lines that led to it, from the outermost on.
      scope: The names around it: transformations and modules.
      loops: The iteration of each loop around it.
      operands: What it was given.
      result: What it made.
      place: Index of the first number that is not finite.
    """

    primitive: str
    frames: tuple[Frame, ...]
    scope: str
    loops: tuple[str, ...]
    operands: tuple[Values, ...]
    result: Values
    place: tuple[int, ...]

    @property
    def backward(self) -> bool:
        """Whether it takes a gradient back."""
        return "transpose(" in self.scope


def operation(
    equations: Sequence[Any],
    loops: tuple[str, ...],
    operands: Sequence[Any],
    result: Any,
) -> Operation:
    """Describes an operation by its first result that is not finite.

    Args:
      equations: Of a jaxpr, each inside of the one before it; the last is in question.
      loops: The iteration of each loop around it.
      operands: Its values.
      result: What it made of them.
    """
    array = numbers(result)
    bad = ~np.isfinite(array)
    if np.isnan(array).any():
        bad = np.isnan(array)
    place = tuple(map(int, np.argwhere(bad)[0]))
    scopes = (str(equation.source_info.name_stack) for equation in equations)
    return Operation(
        equations[-1].primitive.name,
        frames(equations),
        "/".join(filter(None, scopes)),
        loops,
        tuple(_describe(value, place, array.shape) for value in operands),
        _describe(result, place, array.shape),
        place,
    )


def flaw(value: Any) -> str:
    """Returns "nan" if there is one in it, "inf", or nothing."""
    array = numbers(value)
    if np.isfinite(array).all():
        return ""
    return "nan" if np.isnan(array).any() else "inf"


def numbers(value: Any) -> np.ndarray:
    """The floating-point numbers of a value; an empty array where it has others."""
    dtype = getattr(value, "dtype", None) or np.asarray(value).dtype
    floating = jnp.issubdtype(dtype, jnp.inexact)
    return np.asarray(value) if floating else np.zeros(0, np.float32)


def _describe(value: Any, place: tuple[int, ...], shape: tuple[int, ...]) -> Values:
    dtype, sizes = jnp.result_type(value), np.shape(value)
    kind, size = f"{dtype}{list(sizes)}", int(np.prod(sizes))
    if not jnp.issubdtype(dtype, jnp.inexact):
        return Values(kind, None, None, 0, size, None)
    array = np.asarray(value)
    wide = np.abs(array) if array.dtype.kind == "c" else array.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    least, greatest = (
        (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    )
    sample = None
    if sizes in (shape, ()):
        sample = float(wide[place if sizes else ()])
    return Values(kind, least, greatest, size - finite.size, size, sample)
