"""Floating-point operations of a computation, counted where XLA's own count errs."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def flops(function: Callable, *args: Any) -> int:
    """Counts the operations of all matrix products and convolutions of a call.

    A multiplication and an addition count as two. The jaxpr is walked: the body of
    a scan counts as often as it runs, and not once, as for XLA. Of the branches of a
    condition the most expensive counts; the body of a loop of unknown length, once.

    Args:
      function: What to count; it is traced, and never run.
      *args: Its arguments, or their shapes and dtypes.

    Example:
      >>> import jax.numpy as jnp
      >>> flops(jnp.dot, jnp.zeros((128, 256)), jnp.zeros((256, 512)))
      33554432
    """
    return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr) -> int:
    return sum(_count_equation(equation) for equation in jaxpr.eqns)


def _count_equation(equation) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        terms = math.prod(shape[axis] for axis in contracted)
        return 2 * math.prod(equation.outvars[0].aval.shape) * terms
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        features = params["dimension_numbers"].rhs_spec[0]
        terms = math.prod(np.delete(kernel, features))
        # A convolution towards its weights or inputs has dilations; zeros count too.
        return 2 * math.prod(equation.outvars[0].aval.shape) * int(terms)
    inner = [_count(jaxpr) for value in params.values() for jaxpr in _jaxprs(value)]
    if name == "cond":
        return max(inner, default=0)
    return sum(inner) * params.get("length", 1) if name == "scan" else sum(inner)


def _jaxprs(value) -> list:
    """The jaxprs in a parameter of an equation."""
    if isinstance(value, tuple | list):
        return [jaxpr for part in value for jaxpr in _jaxprs(part)]
    value = getattr(value, "jaxpr", value)
    return [value] if hasattr(value, "eqns") else []
