"""Conversion of flax modules to pairs of pure functions."""

import inspect
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.errors import UserError, check_type, near
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
      UserError: It is no module; or, when ``apply`` is called, it has no such method.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from fdl import models
      >>> model = functional(models.MLP((8,), num_outputs=3), jnp.zeros((1, 4)))
      >>> variables = model.init(jax.random.key(0))
      >>> model.apply(variables, jnp.ones((2, 4)))[0].shape
      (2, 3)
    """

    check_type("module", module, nn.Module, "fdl.models.MLP((64,), num_outputs=10)")

    def init(key: Key) -> Variables:
        inputs = example_inputs or zeros(module.example())
        options: Any = _train_option(module, "__call__", False)
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
        outputs = module.apply(
            variables,
            *inputs,
            **_train_option(module, method or "__call__", train),
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


def _train_option(module: nn.Module, method: str, train: bool) -> dict[str, bool]:
    """Keyword argument ``train`` of a method, if the method takes it."""
    function = getattr(module, method, None)
    if not callable(function):
        known = [n for n in dir(type(module)) if not n.startswith("_")]
        raise UserError(
            f"method={method!r}: expected a method of {type(module).__name__}. "
            f"{near(method, known)}"
        )
    parameters = inspect.signature(function).parameters.values()
    takes = any(p.name == "train" or p.kind is p.VAR_KEYWORD for p in parameters)
    return {"train": train} if takes else {}


def zeros(shapes: PyTree) -> PyTree:
    """Arrays of zeros with the shapes and dtypes of a tree's leaves.

    Args:
      shapes: Tree of leaves with a shape and a dtype, such as `jax.ShapeDtypeStruct`.
    """
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
