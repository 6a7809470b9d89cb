"""Feature extraction: the intermediate activations of a model."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from fdl.types import Array, Variables


def features(
    module: nn.Module, variables: Variables, *inputs: Array, **options: Any
) -> tuple[Any, Mapping[str, Array]]:
    """Outputs of a module, and the intermediate activations that it records.

    Modules record activations with flax's ``sow``, which costs nothing in other calls.
    Names are paths, such as ``layer3`` for the third stage of a ResNet, or
    ``layers_0/attention/weights`` for the attention weights in the first layer of a
    Transformer.

    Args:
      module: Module of the zoo.
      variables: Variables of the module.
      *inputs: Inputs of the module.
      **options: Keyword arguments of the call, such as ``mask``.

    Returns:
      Outputs, and activations by name in the order of their computation; under
      `jax.jit`, they are sorted by name.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from fdl import models
      >>> module, images = models.lenet5(), jnp.zeros((1, 28, 28, 1))
      >>> variables = jax.jit(module.init)(jax.random.key(0), images)
      >>> logits, activations = features(module, variables, images)
      >>> for name, value in activations.items():
      ...     print(name, value.shape)
      conv_0 (1, 14, 14, 6)
      conv_1 (1, 5, 5, 16)
      hidden_0 (1, 120)
      hidden_1 (1, 84)
    """
    # With `train=True`, batch normalisation updates its statistics: their collection
    # has to be mutable, though the updates are discarded.
    mutable = [*({*variables, "intermediates"} - {"params"})]
    outputs, state = module.apply(variables, *inputs, mutable=mutable, **options)
    activations = {}
    for name, values in _leaves(state.get("intermediates", {})):
        # Flax collects a tuple, with a value for each call of a shared module.
        for i, value in enumerate(values):
            activations[name if len(values) == 1 else f"{name}_{i}"] = value
    return outputs, activations


def _leaves(tree, prefix=""):
    """Iterates over leaves and their paths in insertion order."""
    # `jax.tree` would sort them by name.
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
