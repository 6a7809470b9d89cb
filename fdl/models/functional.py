"""Conversion of flax modules to pairs of pure functions."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.types import INTERMEDIATES, Array, Key, Model, PyTree, Variables


def functional(module: nn.Module, *example_inputs: Array) -> Model:
    """Pair of pure functions ``(init, apply)`` of a flax module.

    Args:
      module: Module that is called as ``module(*inputs, train=train)``.
      *example_inputs: Inputs whose shapes and dtypes `init` uses; by default zeros
        like ``module.example()``, a method of every module of the zoo.

    Returns:
      A model. Its ``apply`` returns the outputs and the model state, which is all
      collections other than the parameters. They are updated where ``train`` is true,
      such as the running means of batch normalisation, and otherwise unchanged. Modules
      that draw random numbers in training, such as for dropout, need a ``key``.

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
            # Intermediates are recorded only in a mutable collection; statistics and
            # caches have to stay as they are.
            mutable = [name for name in model_state if name == INTERMEDIATES]
            if not mutable:
                return module.apply(variables, *inputs, train=False), model_state
            outputs, intermediates = module.apply(
                variables, *inputs, train=False, mutable=mutable
            )
            return outputs, {**model_state, **intermediates}
        rngs = None if key is None else {"dropout": key}
        return module.apply(
            variables, *inputs, train=True, rngs=rngs, mutable=list(model_state)
        )

    return Model(init, apply)


def zeros(shapes: PyTree) -> PyTree:
    """Arrays of zeros with the shapes and dtypes of a tree's leaves.

    Args:
      shapes: Tree of leaves with a shape and a dtype, such as `jax.ShapeDtypeStruct`.
    """
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
