"""Many equal layers, one after another: unrolled, or one that is scanned."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.types import Array, PyTree


class Stack(nn.Module):
    """Layers of one kind, each a function of the output of the one before.

    Unrolled, their parameters are those of ``layers_0``, ``layers_1`` and so on.
    Scanned, they are one layer's, ``layers``, with a leading axis: what is compiled
    no longer grows with the depth. `stack_layers` and `unstack_layers` convert.

    Attributes:
      make: Makes a layer of the name it is given: ``make(name=...)``. It is called as
        ``layer(x, train, *per_layer, *shared)`` and returns the next ``x``.
      num_layers: How many there are.
      scan: Whether one layer is compiled and run `num_layers` times.
      remat: Whether what a layer computes inside is computed again in the backward
        pass, instead of kept.
    """

    make: Callable[..., nn.Module]
    num_layers: int
    scan: bool = False
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Array, train: bool, *shared: Any, per_layer: tuple[Array, ...] = ()
    ) -> Array:
        """Maps x through all layers.

        Args:
          x: What the first layer sees.
          train: Whether it is training.
          *shared: What all layers are called with.
          per_layer: What each layer has its per_layer of, float [num_layers, ...].
        """

        def call(layer, x, per_layer):
            return layer(x, train, *per_layer, *shared)

        body = nn.remat(call, prevent_cse=not self.scan) if self.remat else call
        if not self.scan:
            for i in range(self.num_layers):
                layer = self.make(name=f"layers_{i}")
                x = body(
                    layer, x, jax.tree.map(lambda values, i=i: values[i], per_layer)
                )
            return x
        run = nn.scan(
            lambda layer, x, per_layer: (body(layer, x, per_layer), None),
            variable_axes={"params": 0, "cache": 0, "intermediates": 0},
            split_rngs={"params": True, "dropout": True},
            length=self.num_layers,
        )
        return run(self.make(name="layers"), x, per_layer)[0]


def stack_layers(variables: PyTree) -> PyTree:
    """Joins ``layers_0``, ``layers_1``, ... to one ``layers`` with a leading axis.

    Args:
      variables: Of a model that is unrolled; nested mappings of arrays, or of shapes.

    Returns:
      Those of the same model with ``scan_layers=True``.

    Example:
      >>> one, two = {"bias": jnp.zeros(3)}, {"bias": jnp.ones(3)}
      >>> stack_layers({"layers_0": one, "layers_1": two})["layers"]["bias"].shape
      (2, 3)
    """
    if not isinstance(variables, Mapping):
        return variables
    stacked = {k: stack_layers(v) for k, v in variables.items()}
    names = [f"layers_{i}" for i in range(len(stacked))]
    layers = [stacked.pop(name) for name in names if name in stacked]
    if layers:
        stacked["layers"] = jax.tree.map(_stack, *layers)
    return stacked


def unstack_layers(variables: PyTree) -> PyTree:
    """Splits ``layers`` into ``layers_0``, ``layers_1``, ...: undoes `stack_layers`."""
    if not isinstance(variables, Mapping):
        return variables
    unstacked = {k: unstack_layers(v) for k, v in variables.items() if k != "layers"}
    if "layers" in variables:
        for i in range(len(jax.tree.leaves(variables["layers"])[0])):
            layer = jax.tree.map(lambda x, i=i: x[i], variables["layers"])
            unstacked[f"layers_{i}"] = unstack_layers(layer)
    return unstacked


def _stack(*leaves):
    return jnp.stack(leaves)
