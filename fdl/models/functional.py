"""The door through which a flax module becomes a pair of pure functions."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.types import INTERMEDIATES, Array, Key, Model, PyTree, Variables


def functional(module: nn.Module, *example_inputs: Array) -> Model:
    """Makes ``(init, apply)`` of a module.

    Args:
      module: Called as ``module(*inputs, train=train)``.
      *example_inputs: Inputs of the right shapes and dtypes, for `init`; by default
        ``module.example()``, which every module of the zoo has.

    Returns:
      A model. Its ``apply`` returns, beside the outputs, all collections other than
      the parameters: as they were where ``train`` is false, and updated (the running
      means of batch norm, say) where it is true. A key is needed by modules that
      draw random numbers while training, such as dropout.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from fdl import models
      >>> model = functional(models.MLP((8,), num_outputs=3), jnp.zeros((1, 4)))
      >>> variables = model.init(jax.random.key(0))
      >>> model.apply(variables, jnp.ones((2, 4)))[0].shape
      (2, 3)
    """

    def init(key: Key) -> Variables:
        inputs = example_inputs or zeros(module.example())
        return module.init(key, *inputs, train=False)

    def apply(
        variables: Variables,
        *inputs: Array,
        key: Key | None = None,
        train: bool = False,
    ) -> tuple[Any, PyTree]:
        model_state = {name: variables[name] for name in variables if name != "params"}
        if not train:
            mutable = [name for name in model_state if name == INTERMEDIATES]
            if not mutable:
                return module.apply(variables, *inputs, train=False), model_state
            outputs, seen = module.apply(
                variables, *inputs, train=False, mutable=mutable
            )
            return outputs, {**model_state, **seen}
        rngs = None if key is None else {"dropout": key}
        return module.apply(
            variables, *inputs, train=True, rngs=rngs, mutable=list(model_state)
        )

    return Model(init, apply)


def zeros(shapes: PyTree) -> PyTree:
    """Arrays of zeros of these shapes and dtypes."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
