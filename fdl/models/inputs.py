"""Checks of the inputs of a module, and one-line errors of those that do not fit."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError, near, reason
from fdl.models.attributes import PACKAGE

# Inputs of these names are the same in all modules of the zoo: images are [B, H, W, C],
# tokens int [B, T], below a size that is an attribute.
SIZES = {
    "source": ("vocab_size",),
    "target": ("target_vocab_size", "vocab_size"),
    "tokens": ("vocab_size",),
    "token_types": ("num_token_types",),
}


def check(
    module: nn.Module, method: str, inputs: Sequence[Any], options: Mapping[str, Any]
) -> None:
    """Checks the arguments of a method of a module.

    Of modules of `fdl.models`, it also checks the rank of images and tokens, and that
    tokens are integers; and, where they are not traced, that the vocabulary has them,
    since a look-up outside of it gives NaN.

    Args:
      module: Module.
      method: Name of the method.
      inputs: Positional arguments.
      options: Keyword arguments.

    Raises:
      UserError: The method takes other arguments, or one is none of the above.
    """
    name = type(module).__name__
    signature = inspect.signature(_method(module, method))
    known = signature.parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in known.values())
    for option in options:
        if option not in known and not open_ended:
            raise UserError(f"{name} takes no {option!r}. {near(option, known)}")
    try:
        arguments = signature.bind(*inputs, **options).arguments
    except TypeError as error:
        taken = ", ".join(known)
        raise UserError(f"{name}: {error}: expected ({taken})") from None
    for argument, value in arguments.items():
        if _is_ours(module) and hasattr(value, "shape"):
            _check_array(module, argument, value)


def takes(module: nn.Module, method: str, option: str) -> bool:
    """True if a method of a module takes a keyword argument."""
    parameters = inspect.signature(_method(module, method)).parameters.values()
    return any(p.name == option or p.kind is p.VAR_KEYWORD for p in parameters)


@contextlib.contextmanager
def one_line_errors(
    module: nn.Module, method: str, inputs: Sequence[Any], examples: Sequence[Any]
) -> Iterator[None]:
    """Turns exceptions of a method of a module into one line that names its inputs.

    Exceptions of other modules than those of `fdl.models` stay as they are, unless they
    are flax's, for a missing key or parameters of other shapes.

    Args:
      module: Module.
      method: Name of the method.
      inputs: Inputs of the call.
      examples: Inputs with which the module is initialised; empty for its own.

    Raises:
      UserError: An exception was raised inside.
    """
    kinds: tuple[type[Exception], ...] = (flax.errors.ScopeParamShapeError,)
    if _is_ours(module):
        # Inputs that do not fit fail in JAX, with errors of many types.
        kinds += ArithmeticError, LookupError, TypeError, ValueError
    try:
        yield
    except UserError:
        raise
    except flax.errors.InvalidRngError as error:
        raise UserError(
            f"key=None: expected a key, as {type(module).__name__} draws random "
            "numbers, such as those of dropout"
        ) from error
    except kinds as error:
        # Without the address in flax's documentation.
        text = reason(error).partition(" (https:")[0].rstrip(".")
        fault = _fault(module, method, inputs, examples)
        raise UserError(f"{fault} ({text})") from error


def _fault(module, method, inputs, examples):
    """Inputs that differ from examples, and what is to be done; all if none do."""
    names = inspect.signature(getattr(module, method)).parameters
    if method != "__call__":
        examples = ()
    elif not examples:
        examples = getattr(module, "example", tuple)()
    for name, actual, example in zip(names, inputs, examples, strict=False):
        shape, expected = jnp.shape(actual), jnp.shape(example)
        if len(shape) == len(expected) and shape[1:] == expected[1:]:
            continue
        advice = "initialise the network with such inputs, or change them"
        if len(shape) == 4 and (*shape[2:], shape[1]) == expected[1:]:
            advice = f"channels come last, jnp.moveaxis({name}, 1, -1)"
        axes = ", ".join(["B", *map(str, expected[1:])])
        return (
            f"{name} {_shown(actual)}: expected [{axes}], for which "
            f"{type(module).__name__} is initialised: {advice}"
        )
    shapes = ", ".join(_shown(x) for x in inputs)
    return f"{type(module).__name__} and its variables do not fit the inputs {shapes}"


def _check_array(module, name, value):
    text, sizes = f"{name} {_shown(value)}", SIZES.get(name, ())
    rank = 2 if sizes else 4 if name == "images" else len(value.shape)
    if len(value.shape) != rank:
        axes = "B, T" if sizes else "B, H, W, C"
        raise UserError(f"{text}: expected [{axes}]")
    if not sizes:
        return
    if not jnp.issubdtype(value.dtype, jnp.integer):
        raise UserError(f"{text}: expected integers")
    limits = [getattr(module, size, None) for size in sizes]
    limit = next((limit for limit in limits if limit), None)
    if limit is None or isinstance(value, jax.core.Tracer) or not value.size:
        return
    # In NumPy, as what JAX computes is traced with a function, of constants too.
    values = np.asarray(value)
    extremes = int(values.min()), int(values.max())
    if extremes[0] < 0 or extremes[1] >= limit:
        raise UserError(
            f"{name} {extremes[0]} to {extremes[1]}: expected 0 to {limit - 1}, as "
            f"{type(module).__name__}.{sizes[-1]}={limit}"
        )


def _shown(value: Any) -> str:
    shape = ", ".join(map(str, jnp.shape(value)))
    return f"{getattr(value, 'dtype', type(value).__name__)} [{shape}]"


def _is_ours(module: nn.Module) -> bool:
    return type(module).__module__.startswith(f"{PACKAGE}.")


def _method(module: nn.Module, name: str) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if not callable(function):
        known = [n for n in dir(type(module)) if not n.startswith("_")]
        raise UserError(
            f"method={name!r}: expected a method of {type(module).__name__}. "
            f"{near(name, known)}"
        )
    return function
