"""Checks of a trained model from files: its variables, network and abilities."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from fdl.errors import UserError, reason, shown
from fdl.runs.directory import differences
from fdl.trees import named_leaves
from fdl.types import Ability, Model, PyTree, Variables

# Of modules, in the trace of a network: a billion layers would take for ever. Those of
# gpt2_xl, with 48 layers, are 1,067.
MAX_CALLS = 20_000


def check_variables(
    model: Model | None,
    abilities: Mapping[str, Ability],
    variables: Variables,
    place: object,
) -> None:
    """Checks variables against the network and the abilities that they are for.

    Collections that the network does not initialise are not checked.

    Args:
      model: Model, or None.
      abilities: What the model can be asked for, by name.
      variables: Variables, arrays on the host or the device.
      place: Where they are from, for the error message.

    Raises:
      UserError: An array is missing, or is of another shape or dtype; or an ability
        fails, or has outputs of other lengths than their names.
    """
    key = jax.random.key(0)
    with reading(place):
        if model is not None:
            expected = _traced(model.init, key)
            found = {name: variables.get(name, {}) for name in expected}
            pairs = differences(_arrays(expected), _arrays(found))
            for name, (here, there) in pairs.items():
                if here == "missing":
                    raise UserError(f"{shown(name)} is not in the network")
                raise UserError(
                    f"{shown(name)} is {there}: expected {here}, as in the network"
                )
        for name, ability in abilities.items():
            examples = {} if ability.inputs is None else ability.inputs.inputs
            batch = {
                k: jax.ShapeDtypeStruct((1, *x.shape), x.dtype)
                for k, x in examples.items()
            }
            outputs = _traced(ability.function, variables, batch, key)
            _check_names(name, ability, outputs)


@contextlib.contextmanager
def reading(place: object) -> Iterator[None]:
    """Turns exceptions of reading data of unknown origin into one line.

    Args:
      place: Where the data is from.

    Raises:
      UserError: Any exception was raised inside.
    """
    try:
        yield
    except UserError as error:
        raise UserError(f"{place}: {error}") from error
    # Modules of wrong attributes fail in flax and in JAX, with errors of many types.
    except Exception as error:
        kind = type(error).__name__
        raise UserError(
            f"{place}: expected a model, as fdl writes it, got {kind}: {reason(error)}"
        ) from error


def _traced(function: Callable[..., PyTree], *arguments: PyTree) -> PyTree:
    """Shapes and dtypes of the result of a function that may call modules."""
    calls = itertools.count()

    def limited(function, args, kwargs, context):
        del context
        if next(calls) >= MAX_CALLS:
            raise UserError(f"network: expected at most {MAX_CALLS} calls of modules")
        return function(*args, **kwargs)

    with nn.intercept_methods(limited):
        return jax.eval_shape(function, *arguments)


def _check_names(name: str, ability: Ability, outputs: Mapping[str, Any]) -> None:
    """Raises `UserError` unless vectors of an output have as many elements as names."""
    for key, names in ability.outputs.items():
        shape = outputs[key].shape
        if jnp.issubdtype(outputs[key].dtype, jnp.integer):
            continue  # Indices of the names, of any shape.
        if names and len(shape) > 1 and shape[-1] != len(names):
            raise UserError(
                f"ability {name!r}: {key!r} has {shape[-1]} elements: expected "
                f"{len(names)}, one for each name"
            )


def _arrays(tree: PyTree) -> dict[str, str]:
    """Dtype and shape of each array of a tree, by name."""
    return {
        name: f"{leaf.dtype}{list(leaf.shape)}"
        for name, leaf in named_leaves(tree).items()
    }
