"""Digests of traced programs."""

import hashlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core


def program_digest(traced: Any) -> str:
    """Digest of a traced function: equal only if the computation is, to the bit.

    Inputs are arguments: of these, only shapes and dtypes belong to a program. Equal
    programs may have different digests, where their text names a function by its
    address, and digests of programs that no longer exist mean nothing.

    Args:
      traced: Traced program, such as ``jax.jit(function).trace(*arguments).jaxpr``.

    Example:
      >>> one, same, two = (jax.make_jaxpr(lambda x: x * n)(1.0) for n in (1, 1, 2))
      >>> program_digest(one) == program_digest(same) != program_digest(two)
      True
    """
    # The text of a jaxpr numbers its variables in order and lists every operation with
    # its parameters, so equal programs have equal texts; arrays may be left out.
    digest = hashlib.sha256(str(traced).encode())
    for constant in map(_host, _constants(traced)):
        digest.update(f"{constant.dtype}{constant.shape}".encode())
        digest.update(constant.tobytes())
    return digest.hexdigest()


def _host(x: Any) -> np.ndarray:
    is_key = isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(x) if is_key else x)


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
