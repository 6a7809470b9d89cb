"""Floating-point operations (FLOPs) of a computation, counted in its jaxpr.

XLA's cost analysis counts the body of a loop once, however often it runs.
"""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import numpy as np


def flops(function: Callable, *args: Any) -> int:
    """Number of FLOPs of all matrix products and convolutions of a call.

    A multiplication and an addition count as two. The body of a scan counts as often as
    it runs; of the branches of a condition, the most expensive one counts; the body of
    a loop of unknown length counts once.

    Args:
      function: Function to count; it is traced, and never run.
      *args: Arguments of the function, or their shapes and dtypes.

    Example:
      >>> import jax.numpy as jnp
      >>> flops(jnp.dot, jnp.zeros((128, 256)), jnp.zeros((256, 512)))
      33554432
    """
    return flops_by_scope(function, *args).total()


def flops_by_scope(function: Callable, *args: Any) -> Counter[str]:
    """Number of FLOPs by named scope, the path of all enclosing `jax.named_scope`.

    Args:
      function: Function to count; it is traced, and never run.
      *args: Arguments of the function, or their shapes and dtypes.

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
    # The name stack of an equation in an inner jaxpr begins at that jaxpr.
    scope = "/".join(filter(None, (scope, str(equation.source_info.name_stack))))
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        terms = math.prod(shape[axis] for axis in contracted)
        return Counter({scope: 2 * math.prod(equation.outvars[0].aval.shape) * terms})
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        # An output is a sum over all axes of the kernel but that of output features. In
        # a grouped convolution, the axis of input features is that of one group.
        features = params["dimension_numbers"].rhs_spec[0]
        terms = int(math.prod(np.delete(kernel, features)))
        # A transposed convolution dilates its inputs with zeros, whose products are not
        # counted.
        products = math.prod(equation.outvars[0].aval.shape) * terms
        return Counter({scope: 2 * products // math.prod(params["lhs_dilation"])})
    # All other primitives with a body (jit, remat, custom derivatives, while, scan)
    # have it as a jaxpr among their parameters.
    inner = [_count(jaxpr, scope) for v in params.values() for jaxpr in _jaxprs(v)]
    if name == "cond":
        return max(inner, key=Counter.total, default=Counter())
    num_runs = params.get("length", 1) if name == "scan" else 1
    total = sum(inner, Counter())
    return Counter({scope: num_runs * count for scope, count in total.items()})


def _jaxprs(value) -> list:
    """Jaxprs in a parameter of an equation, open or closed, in sequences or alone."""
    if isinstance(value, tuple | list):
        return [jaxpr for part in value for jaxpr in _jaxprs(part)]
    value = getattr(value, "jaxpr", value)
    return [value] if hasattr(value, "eqns") else []
