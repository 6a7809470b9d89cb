"""Specifications of observations and actions."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.types import Array, Spec


def box(
    shape: Sequence[int],
    minimum: Any = -np.inf,
    maximum: Any = np.inf,
    dtype: DTypeLike = "float32",
) -> Spec:
    """Box: specification of an array of numbers between bounds, inclusive.

    Args:
      shape: Shape of the array, without a batch axis.
      minimum: Lower bounds, [] or [*shape].
      maximum: Upper bounds, [] or [*shape].
      dtype: Dtype of the array.

    Raises:
      UserError: Bounds do not have the shape, or a lower one is above the upper one.

    Example:
      >>> box((2,), minimum=[-1.0, 0.0]).minimum
      array([-1.,  0.], dtype=float32)
    """
    shape = tuple(shape)
    try:
        low, high = (
            np.broadcast_to(np.asarray(bound, np.float32), shape)
            for bound in (minimum, maximum)
        )
    except ValueError:
        shapes = f"{list(np.shape(minimum))} and {list(np.shape(maximum))}"
        raise UserError(
            f"shape={shape}: expected the shape of the bounds, {shapes}"
        ) from None
    if not (low <= high).all():
        raise UserError(f"minimum={minimum}: expected at most maximum={maximum}")
    return Spec(shape, jnp.dtype(dtype), low, high)


def discrete(num_values: int | Sequence[int]) -> Spec:
    """Discrete specification: a number 0, 1, ..., or a vector of such numbers, int32.

    Args:
      num_values: Number of values; of each element for a vector (multi-discrete).

    Raises:
      UserError: A number of values is below 1.

    Example:
      >>> discrete(3).maximum, discrete((3, 2)).shape
      (array(2., dtype=float32), (2,))
    """
    sizes = np.asarray(num_values)
    if sizes.dtype.kind not in "iu" or (sizes < 1).any():
        raise UserError(f"num_values={num_values}: expected integers of at least 1")
    spec = box(sizes.shape, 0, sizes - 1, "int32")
    sizes = sizes.tolist()
    return spec._replace(num_values=tuple(sizes) if isinstance(sizes, list) else sizes)


def expect(name: str, x: Array, spec: Spec) -> None:
    """Checks the shape and the kind of dtype of a batch of observations or actions.

    Args:
      name: Name of the batch in the error.
      x: Batch, [N, *shape], which may be traced.
      spec: Specification of one element.

    Raises:
      UserError: The shape is another, or the dtype is of another kind: numbers in half
        precision pass for floats, but integers do not.
    """
    kinds = jnp.bool_, jnp.integer, jnp.floating
    same_kind = any(
        jnp.issubdtype(x.dtype, kind) and jnp.issubdtype(spec.dtype, kind)
        for kind in kinds
    )
    if not same_kind or x.shape[1:] != spec.shape:
        expected, actual = (
            f"{dtype} {['N', *shape]}".replace("'", "")
            for dtype, shape in ((spec.dtype, spec.shape), (x.dtype, x.shape[1:]))
        )
        raise UserError(f"{name} {actual}: expected {expected}, as env.{name} is")
