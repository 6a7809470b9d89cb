"""Double precision: conversion to float64, and detection of narrower dtypes."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.types import Batch, Key, Objective, PyTree, Variables


def rounded_dtypes(
    objective: Objective, variables: Variables, batch: Batch, key: Key
) -> str:
    """Narrower dtypes to which a loss rounds float64 inputs.

    Args:
      objective: Objective whose loss is examined, with ``train=True``.
      variables: Variables of the model.
      batch: Batch of examples.
      key: Random key of the objective.

    Returns:
      Names of dtypes, separated by commas, such as "float32" if a layer has this
      ``dtype``; empty if the loss is computed in float64 throughout.
    """
    dtypes: set[str] = set()
    with jax.enable_x64(True):
        variables, batch = to_float64(variables), to_float64(batch)
        rest = {name: part for name, part in variables.items() if name != "params"}

        def loss(params):
            return objective({"params": params, **rest}, batch, key, train=True)[0]

        def trace(params):
            # The linearised program has only what the derivative passes through. The
            # full one also rounds masks and metrics, which is harmless.
            _, linear = jax.linearize(loss, params)
            dtypes.update(_rounding_dtypes(jax.make_jaxpr(linear)(params).jaxpr))

        # Dtypes are known from tracing: nothing has to be computed.
        jax.eval_shape(trace, variables["params"])
    return ", ".join(sorted(dtypes))


def to_float64(tree: PyTree) -> PyTree:
    """Tree of NumPy arrays, with floating-point leaves converted to float64.

    Random keys are left as they are.
    """

    def double(x: Any) -> Any:
        # Typed random keys cannot be converted to NumPy arrays.
        if jnp.issubdtype(jnp.asarray(x).dtype, jax.dtypes.prng_key):
            return x
        x = np.asarray(x)
        return x.astype(np.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(double, tree)


def _rounding_dtypes(jaxpr) -> Iterator[str]:
    """Names of the floating-point dtypes that equations turn float64 into."""
    for equation in jaxpr.eqns:
        inputs, outputs = (
            {v.aval.dtype for v in side if hasattr(v.aval, "dtype")}
            for side in (equation.invars, equation.outvars)
        )
        if jnp.dtype("float64") in inputs:
            others = outputs - {jnp.dtype("float64")}
            yield from (str(x) for x in others if jnp.issubdtype(x, jnp.floating))
        # Subprograms are in the params of an equation: loops have one, conditionals a
        # tuple of branches.
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from _rounding_dtypes(inner)
