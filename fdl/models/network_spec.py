"""Serialisation of module attributes: a network's architecture as JSON, and back.

A module is ``{"module": name, "fields": {...}}`` and a function ``{"function": name}``,
with ``args`` and ``keywords`` for a `functools.partial`. Names are public ones of a few
namespaces: a spec of unknown origin constructs modules from plain data, and runs no
other code.
"""

import difflib
import functools
import inspect
import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from fdl import models
from fdl.errors import UserError, near, reason, shown
from fdl.models import layers
from fdl.models.attributes import fields, hints, is_default, is_initialiser, typed

MAX_MODULES = 500  # Of one kind in a network.
MAX_WINDOW = 1_000  # Of a convolution or a pooling.
MAX_INTEGER = 2**20  # Of sizes, such as a vocabulary.
MAX_DEPTH = 16  # Of modules, functions and sequences inside each other.
# Not all of jax.numpy: it has `load` and `save`, which open files.
ELEMENTWISE = (
    *("abs", "arctan", "cos", "cosh", "exp", "expm1", "log1p", "sign", "sin", "sinh"),
    *("sinc", "sqrt", "square", "tanh"),
)
NAMED = "a public function or module of fdl.models, flax.linen or jax.nn"
VALUE = f"a number, a string, a dtype, a sequence, or {NAMED}"


def to_spec(module: nn.Module) -> dict[str, Any]:
    """Attributes of a module as JSON data; inverse of `from_spec`.

    Attributes that equal their defaults are left out. So are initialisers, functions in
    attributes named ``*_init``: a trained network does not need them, and most are
    closures, which have no name.

    Args:
      module: Module of `fdl.models` or `flax.linen`.

    Returns:
      Data of dicts, lists, numbers, strings, booleans and None. Dtypes become strings,
      tuples become lists.

    Raises:
      UserError: The module, or an attribute of it, is none of the above and has no
        public name, such as a lambda.

    Example:
      >>> to_spec(models.MLP((8,), 3, activation=nn.tanh))["fields"]
      {'hidden_sizes': [8], 'num_outputs': 3, 'activation': {'function': 'jax.nn.tanh'}}
    """
    if not isinstance(module, nn.Module):
        raise UserError(f"module is a {type(module).__name__}: expected a flax module")
    return _module_to_data(module)


def from_spec(spec: Mapping[str, Any]) -> nn.Module:
    """Module of the attributes in a spec; inverse of `to_spec`.

    Sequences become tuples, dtypes strings, and initialisers the default ones.

    Args:
      spec: Data as from `to_spec`, possibly by way of JSON.

    Raises:
      UserError: The data is no spec, of a module that there is.

    Example:
      >>> model = models.MLP((8,), 3, norm=nn.BatchNorm)
      >>> from_spec(to_spec(model)) == model
      True
    """
    if not (isinstance(spec, Mapping) and "module" in spec):
        raise UserError("network: expected a dict with the keys module and fields")
    return _from_data(spec, "network", 0)


def _module_to_data(module: nn.Module) -> dict[str, Any]:
    kind = type(module)
    name = _names().get(id(kind))
    if name is None:
        raise UserError(
            f"{kind.__name__} cannot be described as data: expected a module of "
            "fdl.models or flax.linen"
        )
    values = {
        field.name: getattr(module, field.name)
        for field in fields(kind).values()
        if not is_default(field, getattr(module, field.name))
    }
    return {"module": name, "fields": _items_to_data(values, kind.__name__)}


def _items_to_data(values: Mapping[str, Any], owner: str) -> dict[str, Any]:
    return {
        name: _to_data(value, f"{owner}.{name}")
        for name, value in values.items()
        if not is_initialiser(name, value)
    }


def _to_data(value: Any, where: str) -> Any:
    """Value as JSON data; `where` is its name in errors."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return _plain(value, where)
    if isinstance(value, (tuple, list)):
        return [_to_data(item, where) for item in value]
    if isinstance(value, nn.Module):
        return _module_to_data(value)
    if isinstance(value, (np.dtype, type(jnp.float32))) or (
        isinstance(value, type) and issubclass(value, np.generic)
    ):
        return jnp.dtype(value).name
    partial = isinstance(value, functools.partial)
    function = value.func if partial else value
    name = _names().get(id(function))
    if name is None:
        label = getattr(function, "__qualname__", None) or type(function).__name__
        raise UserError(f"{where}={shown(label)}: expected {VALUE}")
    data: dict[str, Any] = {"function": name}
    if partial and value.args:
        data["args"] = _to_data(value.args, where)
    if partial and value.keywords:
        data["keywords"] = _items_to_data(value.keywords, where)
    return data


def _from_data(data: Any, where: str, depth: int) -> Any:
    """Value of JSON data; inverse of `_to_data`."""
    if depth > MAX_DEPTH:
        raise UserError(f"{where}: expected at most {MAX_DEPTH} levels of nesting")
    if data is None or isinstance(data, (bool, int, float, str)):
        return _plain(data, where)
    if isinstance(data, (tuple, list)):
        return tuple(_from_data(item, where, depth + 1) for item in data)
    keys = {*data} if isinstance(data, Mapping) else set()
    if keys == {"module", "fields"}:
        return _module_from_data(data, where, depth)
    if not {"function"} <= keys <= {"function", "args", "keywords"}:
        raise UserError(f"{where}={shown(repr(data)[:200])}: expected {VALUE}")
    function = _named(data["function"], where)
    if keys == {"function"}:
        return function
    args = _from_data(data.get("args", []), where, depth + 1)
    if not isinstance(args, tuple):
        raise UserError(f"{where}: expected a list of args")
    keywords = _values(data.get("keywords", {}), where, depth)
    return functools.partial(function, *args, **keywords)


def _module_from_data(data: Mapping[str, Any], where: str, depth: int) -> nn.Module:
    kind = _named(data["module"], where)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise UserError(f"{where}={data['module']}: expected the name of a module")
    known, annotations = fields(kind), hints(kind)
    values = _values(data["fields"], kind.__name__, depth)
    for name, value in values.items():
        if name not in known:
            raise UserError(
                f"{kind.__name__} has no attribute {shown(name)!r}. {near(name, known)}"
            )
        values[name] = typed(value, annotations[name], f"{kind.__name__}.{name}")
    try:
        return kind(**values)
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{kind.__name__}: {shown(reason(error))}") from error


def _values(data: Any, owner: str, depth: int) -> dict[str, Any]:
    if not isinstance(data, Mapping) or not all(isinstance(k, str) for k in data):
        raise UserError(f"{owner}: expected a dict of values by name")
    return {
        name: _from_data(value, f"{owner}.{shown(name)}", depth + 1)
        for name, value in data.items()
    }


def _plain(value: Any, where: str) -> Any:
    """The value, if JSON and 64 bits can hold it."""
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{where}={value}: expected a finite number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise UserError(f"{where}: expected an integer of at most 64 bits")
    if isinstance(value, int):
        _check_size(value, where)
    return value


def _check_size(value: int, where: str) -> None:
    """Raises a `UserError` for a size that building a network would not end with."""
    name, limit = where.rpartition(".")[2].partition("[")[0], MAX_INTEGER
    # Modules, and the offsets of a window, are run through by loops of Python.
    if name.endswith(("layers", "blocks", "critics")):
        limit = MAX_MODULES
    elif name in ("size", "kernel_size", "strides", "window_shape"):
        limit = MAX_WINDOW
    if value > limit:
        raise UserError(f"{where}={value}: expected at most {limit}")


def _named(name: Any, where: str) -> Any:
    """Function or class of a public name."""
    if isinstance(name, str) and name in _public():
        return _public()[name]
    text = shown(name if isinstance(name, str) else repr(name)[:200])
    close = difflib.get_close_matches(text, _public(), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UserError(f"{where}={text!r}: expected {NAMED}.{hint}")


@functools.cache
def _public() -> dict[str, Any]:
    """Classes and functions that a spec can name: none of them opens a file."""

    def is_module(value):
        return isinstance(value, type) and issubclass(value, nn.Module)

    def makes_module(value):
        return inspect.isfunction(value) and is_module(
            inspect.get_annotations(value, eval_str=True).get("return")
        )

    zoo = [n for n in models.__all__ if makes_module(getattr(models, n))]
    zoo += [n for n in models.__all__ if is_module(getattr(models, n))]
    linen = [n for n in dir(nn) if is_module(getattr(nn, n)) and n != "Module"]
    activations = [n for n in dir(jax.nn) if callable(getattr(jax.nn, n))]
    return {
        f"{space.__name__}.{name}": getattr(space, name)
        for space, names in [
            (models, zoo),
            (layers, layers.__all__),
            (nn, [*linen, "avg_pool", "max_pool"]),
            (jax.nn, activations),
            (jnp, ELEMENTWISE),
        ]
        for name in names
        if not name.startswith("_")
    }


@functools.cache
def _names() -> dict[int, str]:
    """Public names by the identity of what they stand for; of several, the first."""
    return {id(value): name for name, value in reversed(_public().items())}
