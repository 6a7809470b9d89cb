"""Attributes of modules: their annotations, and checks of their values."""

import collections.abc
import contextlib
import dataclasses
import inspect
import math
import types
import typing
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError, shown

PACKAGE = __name__.rpartition(".")[0]
RATES = ("compression", "dropout", "mask_ratio", "rate", "stochastic_depth")  # 0 to 1.
# Of integers; others are sizes.
MAY_BE_ZERO = ("attention_levels", "axis", "pad_token", "padding")


def check(module: nn.Module) -> None:
    """Checks the attributes of a module, and of the modules in them.

    Modules of `fdl.models` need values of the annotated types, positive sizes, rates
    between 0 and 1, and finite numbers. Attributes of other modules are not checked.

    Raises:
      UserError: A value is none of these.

    Example:
      >>> from fdl import models
      >>> check(models.MLP((8,), 3, dropout=5.0))
      Traceback (most recent call last):
      fdl.errors.UserError: MLP.dropout=5.0: expected a rate from 0 to 1
    """
    kind = type(module)
    ours = kind.__module__.startswith(f"{PACKAGE}.")
    for name in fields(kind):
        value, where = getattr(module, name), f"{kind.__name__}.{name}"
        if isinstance(value, nn.Module):
            check(value)
        elif ours:
            _check_numbers(typed(value, hints(kind)[name], where), name, where)


def _check_numbers(value: Any, name: str, where: str) -> None:
    if isinstance(value, tuple):
        names = getattr(value, "_fields", [name] * len(value))
        for item, item_name in zip(value, names, strict=True):
            _check_numbers(item, item_name, where)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    least = int(name not in MAY_BE_ZERO)
    if name.endswith(RATES):
        fits, expected = 0 <= value <= 1, "a rate from 0 to 1"
    elif isinstance(value, int):
        fits, expected = value >= least, f"at least {least}"
    else:
        fits, expected = math.isfinite(value), "a finite number"
    if not fits:
        raise UserError(f"{where}={value}: expected {expected}")


def typed(value: Any, hint: Any, where: str) -> Any:
    """The value, if an attribute's annotation has it; as its named tuple, if it is.

    Args:
      value: Value; numbers of NumPy become those of Python, and lists tuples.
      hint: Annotation.
      where: Name of the attribute, after that of its class.

    Raises:
      UserError: The annotation has no such value.
    """
    # The annotation of dtypes admits any string.
    is_dtype = where.endswith((".dtype", ".param_dtype")) and value is not None
    with contextlib.suppress(TypeError, ValueError):
        if not is_dtype:
            return _as_hinted(value, hint)
        if isinstance(value, str | type | np.dtype) and jnp.issubdtype(
            value, jnp.inexact
        ):
            return value
    text = shown(" ".join(repr(value).split()))
    expected = "a dtype of floats" if is_dtype else inspect.formatannotation(hint)
    expected = expected.replace("collections.abc.", "")
    raise UserError(f"{where}={text}: expected {expected}")


def _as_hinted(value: Any, hint: Any) -> Any:
    """As `typed`, with a TypeError for a value of another type."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list):
        value = tuple(value)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return _as_hinted(value, option)
            except TypeError:
                continue
        raise TypeError
    named_tuple = getattr(hint, "_fields", ())
    if named_tuple and isinstance(value, tuple) and len(value) == len(named_tuple):
        types_of = inspect.get_annotations(hint, eval_str=True).values()
        return hint(*map(_as_hinted, value, types_of))
    if origin is collections.abc.Sequence and isinstance(value, tuple):
        return tuple(_as_hinted(item, *arguments) for item in value)
    if origin is collections.abc.Callable:
        fits = callable(value)
    elif hint is float:
        # Numbers that are traced as hyperparameters are arrays.
        fits = type(value) in (int, float) or isinstance(value, jax.Array)
    elif hint in (bool, int, str, type(None)):
        fits = type(value) is hint
    elif isinstance(hint, type) and issubclass(hint, nn.Module):
        fits = isinstance(value, hint)
    else:
        fits = not named_tuple and origin is not collections.abc.Sequence
    if not fits:
        raise TypeError
    return value


def fields(kind: type[nn.Module]) -> dict[str, Any]:
    """Attributes of a class of modules, except `parent`, which flax sets."""
    return {f.name: f for f in dataclasses.fields(kind) if f.name != "parent"}


def hints(kind: type[nn.Module]) -> dict[str, Any]:
    """Annotations of the attributes of a class of modules."""
    annotations: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            annotations |= inspect.get_annotations(base, eval_str=True)
    return annotations


def is_default(field: Any, value: Any) -> bool:
    """True if a value is the default of an attribute."""
    default = field.default
    return value is default or (type(value) is type(default) and value == default)


def is_initialiser(name: str, value: Any) -> bool:
    """True if an attribute holds an initialiser, or several."""
    values = value if isinstance(value, (tuple, list)) else [value]
    return name.endswith("_init") and any(map(callable, values))
