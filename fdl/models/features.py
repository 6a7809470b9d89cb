"""What a model computes on its way to the outputs."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from fdl.types import Array, Variables


def features(
    module: nn.Module, variables: Variables, *inputs: Array, **options: Any
) -> tuple[Any, Mapping[str, Array]]:
    """The outputs, and all intermediate results that the model names.

    What a model names costs nothing where it is not asked for. The names are paths:
    ``layer3`` for the third stage of a ResNet, ``layers_0/attention/weights`` for what
    attends to what in a Transformer's first layer.

    Args:
      module: A module of the zoo.
      variables: Its variables.
      *inputs: What it is called with.
      **options: Its options, say ``mask``.

    Returns:
      The outputs, and the intermediate results by name, in the order in which they
      arise; `jax.jit` sorts them by name.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from fdl import models
      >>> module, images = models.lenet5(), jnp.zeros((1, 28, 28, 1))
      >>> variables = module.init(jax.random.key(0), images)
      >>> logits, seen = features(module, variables, images)
      >>> for name, value in seen.items():
      ...     print(name, value.shape)
      conv_0 (1, 14, 14, 6)
      conv_1 (1, 5, 5, 16)
      hidden_0 (1, 120)
      hidden_1 (1, 84)
    """
    # In training, batch norm moves its statistics, also where nobody keeps them.
    mutable = [*({*variables, "intermediates"} - {"params"})]
    outputs, state = module.apply(variables, *inputs, mutable=mutable, **options)
    named = {}
    for name, values in _leaves(state.get("intermediates", {})):
        # Flax collects a tuple: a module that is called twice names twice.
        for i, value in enumerate(values):
            named[name if len(values) == 1 else f"{name}_{i}"] = value
    return outputs, named


def _leaves(tree, prefix=""):
    """What is at the end of each path; JAX would sort them by name."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}/")
        else:
            yield f"{prefix}{name}", value
