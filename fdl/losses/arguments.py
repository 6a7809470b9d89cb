"""Checks of the dtypes and shapes of what a loss is given, when it is traced."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.types import Array

KINDS = {"float": jnp.floating, "int": jnp.integer, "": jnp.generic}


def check_array(
    name: str, array: Array, kind: str, shape: Sequence[int], as_of: str = ""
) -> None:
    """Checks the dtype and the shape of an argument.

    Args:
      name: Name of the argument.
      array: Its value.
      kind: "float" or "int"; empty for any dtype.
      shape: Expected shape.
      as_of: Reason for it, at the end of the error.

    Raises:
      UserError: It is of another dtype or shape.

    Example:
      >>> check_array("labels", jnp.zeros((4, 1), int), "int", [4], "one per example")
      Traceback (most recent call last):
      fdl.errors.UserError: labels of int32[4, 1]: expected int[4], one per example
    """
    right = jnp.issubdtype(jnp.result_type(array), KINDS[kind])
    if not right or np.shape(array) != tuple(shape):
        reason = f", {as_of}" if as_of else ""
        raise UserError(
            f"{name} of {type_of(array)}: expected {kind}{[*shape]}{reason}"
        )


def check_pair(name: str, array: Array, other: str, expected: Array) -> None:
    """Checks two arrays of numbers, of equal shape; the second is given by its name.

    Raises:
      UserError: One is not float, or their shapes differ.
    """
    check_array(other, expected, "float", np.shape(expected))
    shape = np.shape(expected)
    check_array(name, array, "float", shape, f"as {other} of {type_of(expected)}")


def type_of(array: Array) -> str:
    """Dtype and shape of an array.

    Example:
      >>> type_of(jnp.zeros((2, 3)))
      'float32[2, 3]'
    """
    return f"{jnp.result_type(array)}{[*np.shape(array)]}"
