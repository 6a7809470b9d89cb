"""Stacks of identical layers, unrolled or scanned."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.types import Array, PyTree


class Stack(nn.Module):
    """Sequence of identical layers, unrolled or as a `flax.linen.scan`.

    Unrolled, the parameters are in ``layers_0``, ``layers_1`` and so on. Scanned, they
    are in ``layers``, stacked along a leading axis, and compile time does not grow with
    the depth. `stack_layers` and `unstack_layers` convert between the two.

    Attributes:
      make: Constructor of a layer: ``make(name=...)``. A layer is called with ``x``,
        ``train``, its slices of the per-layer inputs and the shared inputs, in that
        order, and returns the next ``x``.
      num_layers: Number of layers.
      scan: Whether to compile one layer and run it `num_layers` times.
      remat: Whether to recompute the activations inside a layer in the backward pass
        instead of storing them.
    """

    make: Callable[..., nn.Module]
    num_layers: int
    scan: bool = False
    remat: bool = False

    @nn.compact
    def __call__(
        self, x: Array, train: bool, *shared: Any, per_layer: tuple[Array, ...] = ()
    ) -> Array:
        """Applies all layers to x.

        Args:
          x: Input of the first layer.
          train: Whether layers are in training mode.
          *shared: Inputs that are the same for all layers.
          per_layer: Per-layer inputs, float [num_layers, ...].
        """

        def call(layer, x, per_layer):
            return layer(x, train, *per_layer, *shared)

        # In a scan, the loop itself keeps XLA from merging the recomputation with the
        # forward pass; the barriers that do so elsewhere would only cost time.
        body = nn.remat(call, prevent_cse=not self.scan) if self.remat else call
        if not self.scan:
            for i in range(self.num_layers):
                layer = self.make(name=f"layers_{i}")
                x = body(
                    layer, x, jax.tree.map(lambda values, i=i: values[i], per_layer)
                )
            return x
        # Parameters, caches and intermediates are stacked along the axis of the layers;
        # each layer draws its own initial values and dropout masks.
        run = nn.scan(
            lambda layer, x, per_layer: (body(layer, x, per_layer), None),
            variable_axes={"params": 0, "cache": 0, "intermediates": 0},
            split_rngs={"params": True, "dropout": True},
            length=self.num_layers,
        )
        return run(self.make(name="layers"), x, per_layer)[0]


def stack_layers(variables: PyTree) -> PyTree:
    """Stacks the variables of ``layers_0``, ``layers_1``, ... into one ``layers``.

    Args:
      variables: Variables of an unrolled model, nested mappings of arrays.

    Returns:
      Variables of the same model with ``scan_layers=True``.

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
    """Inverse of `stack_layers`: splits ``layers`` into ``layers_0``, ``layers_1``, ...

    Args:
      variables: Variables of a model with ``scan_layers=True``.

    Returns:
      Variables of the same model, unrolled.
    """
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
