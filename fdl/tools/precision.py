"""Double precision, and what falls short of it."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.types import Batch, Key, Objective, PyTree, Variables


def rounded(objective: Objective, variables: Variables, batch: Batch, key: Key) -> str:
    """To what narrow types a loss rounds what it is given in float64; or nothing.

    Returns:
      Names of dtypes: "float32", say, if a layer has it as its ``dtype``.
    """
    found: set[str] = set()
    with jax.enable_x64(True):
        variables, batch = doubled(variables), doubled(batch)
        rest = {name: part for name, part in variables.items() if name != "params"}

        def loss(params):
            return objective({"params": params, **rest}, batch, key, train=True)[0]

        def trace(params):
            # What is linear in the parameters, and no mask or metric, is on the way.
            _, linear = jax.linearize(loss, params)
            found.update(_narrow(jax.make_jaxpr(linear)(params).jaxpr))

        jax.eval_shape(trace, variables["params"])
    return ", ".join(sorted(found))


def doubled(tree: PyTree) -> PyTree:
    """A tree on the host, with its floating-point numbers in float64."""

    def double(x: Any) -> Any:
        if jnp.issubdtype(jnp.asarray(x).dtype, jax.dtypes.prng_key):
            return x
        x = np.asarray(x)
        return x.astype(np.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x

    return jax.tree.map(double, tree)


def _narrow(jaxpr) -> Iterator[str]:
    for equation in jaxpr.eqns:
        inputs, outputs = (
            {v.aval.dtype for v in side if hasattr(v.aval, "dtype")}
            for side in (equation.invars, equation.outvars)
        )
        if jnp.dtype("float64") in inputs:
            narrow = outputs - {jnp.dtype("float64")}
            yield from (str(x) for x in narrow if jnp.issubdtype(x, jnp.floating))
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from _narrow(inner)
