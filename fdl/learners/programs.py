"""Comparison of traced programs."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.extend import core


def equal_programs(first: Any, second: Any) -> bool:
    """True if two traced functions compute the same, number for number.

    Inputs are arguments: of these, only shapes and dtypes belong to a program. It may
    be False for equal programs, where their text names a function by its address.

    Args:
      first: Traced program, such as ``jax.jit(function).trace(*arguments).jaxpr``.
      second: Another.

    Example:
      >>> one, two = (jax.make_jaxpr(lambda x: x * n)(1.0) for n in (1.0, 2.0))
      >>> equal_programs(one, one), equal_programs(one, two)
      (True, False)
    """
    # The text of a jaxpr numbers its variables in order and lists every operation with
    # its parameters, so equal programs have equal texts; arrays may be left out.
    if str(first) != str(second):
        return False
    pairs = zip(_constants(first), _constants(second), strict=True)
    return all(_identical(a, b) for a, b in pairs)


def _identical(a: Any, b: Any) -> bool:
    if a is b:
        return True
    x, y = np.asarray(a), np.asarray(b)
    return (x.dtype, x.shape) == (y.dtype, y.shape) and x.tobytes() == y.tobytes()


def _constants(traced: Any) -> Iterator[Any]:
    """Constants and literals of a jaxpr and of all jaxprs in it."""
    if isinstance(traced, core.ClosedJaxpr | core.Jaxpr):
        # From jax 0.12 on, the two are one class.
        yield from getattr(traced, "consts", ())
        for equation in traced.eqns:
            for value in equation.invars:
                if isinstance(value, core.Literal):
                    yield value.val
            yield from _constants(tuple(equation.params.values()))
    elif isinstance(traced, tuple | list):
        for part in traced:
            yield from _constants(part)
    elif isinstance(traced, np.ndarray | jax.Array):
        yield traced
