"""Floating-point operations of a computation, counted where XLA's own count errs."""

import math
from collections import Counter
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
    return flops_by_scope(function, *args).total()


def flops_by_scope(function: Callable, *args: Any) -> Counter[str]:
    """The same by where they lie: the names of all `jax.named_scope` around them.

    Args:
      function: What to count; it is traced, and never run.
      *args: Its arguments, or their shapes and dtypes.

    Example:
      >>> import jax.numpy as jnp
      >>> def function(x):
      ...     with jax.named_scope("outer"), jax.named_scope("inner"):
      ...         x = x @ x
      ...     return x @ x
      >>> flops_by_scope(function, jnp.zeros((2, 2)))
      Counter({'outer/inner': 16, '': 16})
    """
    return _count(jax.make_jaxpr(function)(*args).jaxpr, "")


def _count(jaxpr, scope: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for equation in jaxpr.eqns:
        counts.update(_count_equation(equation, scope))
    return counts


def _count_equation(equation, scope: str) -> Counter[str]:
    name, params = equation.primitive.name, equation.params
    # What lies in a jaxpr inside is named from there on.
    scope = "/".join(filter(None, (scope, str(equation.source_info.name_stack))))
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        terms = math.prod(shape[axis] for axis in contracted)
        return Counter({scope: 2 * math.prod(equation.outvars[0].aval.shape) * terms})
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        features = params["dimension_numbers"].rhs_spec[0]
        terms = int(math.prod(np.delete(kernel, features)))
        # The zeros that a transposed convolution has between its inputs do not count.
        products = math.prod(equation.outvars[0].aval.shape) * terms
        return Counter({scope: 2 * products // math.prod(params["lhs_dilation"])})
    inner = [_count(jaxpr, scope) for v in params.values() for jaxpr in _jaxprs(v)]
    if name == "cond":
        return max(inner, key=Counter.total, default=Counter())
    times = params.get("length", 1) if name == "scan" else 1
    total = sum(inner, Counter())
    return Counter({scope: times * count for scope, count in total.items()})


def _jaxprs(value) -> list:
    """The jaxprs in a parameter of an equation."""
    if isinstance(value, tuple | list):
        return [jaxpr for part in value for jaxpr in _jaxprs(part)]
    value = getattr(value, "jaxpr", value)
    return [value] if hasattr(value, "eqns") else []
