"""Conversion of flax modules to pairs of pure functions."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.errors import check_type
from fdl.models import attributes
from fdl.models.inputs import check as check_inputs
from fdl.models.inputs import one_line_errors, takes
from fdl.types import INTERMEDIATES, Array, Key, Model, PyTree, Variables


def functional(module: nn.Module, *example_inputs: Array) -> Model:
    """Pair of pure functions ``(init, apply)`` of a flax module.

    ``apply(variables, *inputs, key=None, train=False, method=None, mutable=(),
    **options)`` returns the outputs and the model state: all collections other than the
    parameters. They change in training, such as the running means of batch
    normalisation; otherwise only those named in ``mutable`` do, such as ``cache``, and
    ``intermediates``, if the variables have that collection.

    * ``key`` is the key of dropout and of all other random numbers, in training and in
      evaluation.
    * ``method`` is the name of the method to call in place of ``__call__``.
    * ``options`` are keyword arguments of the method, such as ``mask``; ``train`` is
      passed to it if it takes one.

    Args:
      module: Flax module.
      *example_inputs: Inputs whose shapes and dtypes `init` uses; by default zeros
        like ``module.example()``, a method of every module of the zoo.

    Returns:
      A model with the module.

    Raises:
      UserError: It is no module, or one of the zoo with an attribute that is not valid;
        or, when ``apply`` is called, it has no such method, the method takes no such
        arguments, or the inputs do not fit the variables.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from fdl import models
      >>> model = functional(models.MLP((8,), num_outputs=3), jnp.zeros((1, 4)))
      >>> variables = model.init(jax.random.key(0))
      >>> model.apply(variables, jnp.ones((2, 4)))[0].shape
      (2, 3)
    """

    check_type("module", module, nn.Module, "fdl.models.MLP((64,), num_outputs=10)")
    attributes.check(module)

    def init(key: Key) -> Variables:
        inputs = example_inputs or zeros(module.example())
        options: Any = {"train": False} if takes(module, "__call__", "train") else {}
        with one_line_errors(module, "__call__", inputs, ()):
            return module.init(key, *inputs, **options)

    def apply(
        variables: Variables,
        *inputs: Array,
        key: Key | None = None,
        train: bool = False,
        method: str | None = None,
        mutable: str | Sequence[str] = (),
        **options: Any,
    ) -> tuple[Any, PyTree]:
        mutable = [mutable] if isinstance(mutable, str) else mutable
        model_state = {name: variables[name] for name in variables if name != "params"}
        # Intermediates are recorded only in a mutable collection; in evaluation,
        # statistics have to stay as they are.
        changing = [name for name in model_state if train or name == INTERMEDIATES]
        changing += [name for name in mutable if name not in changing]
        name = method or "__call__"
        check_inputs(module, name, inputs, options)
        with one_line_errors(module, name, inputs, example_inputs):
            outputs = module.apply(
                variables,
                *inputs,
                **({"train": train} if takes(module, name, "train") else {}),
                **options,
                # Flax takes the key of `params` for all streams that are not named.
                rngs=None if key is None else {"params": key, "dropout": key},
                method=method,
                mutable=changing or False,
            )
        if not changing:
            return outputs, model_state
        outputs, changed = outputs
        return outputs, {**model_state, **changed}

    return Model(init, apply, module)


def zeros(shapes: PyTree) -> PyTree:
    """Arrays of zeros with the shapes and dtypes of a tree's leaves.

    Args:
      shapes: Tree of leaves with a shape and a dtype, such as `jax.ShapeDtypeStruct`.
    """
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
