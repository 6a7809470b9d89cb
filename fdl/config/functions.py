"""Functions of a module that a config names, with their arguments."""

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from typing import Any

from fdl.errors import UserError, near


def make(namespace: Any, spec: Mapping[str, Any], **more: Any) -> Any:
    """Result of calling a function of a module that a config names.

    The module is the registry: all of its public functions can be named. An argument
    ``activation`` may be the name of a function of `jax.nn`.

    Args:
      namespace: Module, such as `optax`.
      spec: Mapping of ``name`` and the arguments of the function.
      **more: Further arguments, which a config cannot hold.

    Raises:
      UserError: The module has no such function, or it takes no such argument.

    Example:
      >>> import optax
      >>> make(optax, {"name": "constant_schedule"}, value=0.1)(7)
      0.1
    """
    name, function, arguments = _resolve(namespace, spec, more)
    try:
        # Bound before the call, so that a `TypeError` inside of the function is not
        # mistaken for a wrong argument.
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise UserError(f"{name}: {error}") from None
    return function(**arguments)


def partial(
    namespace: Any, spec: Mapping[str, Any], **more: Any
) -> functools.partial[Any]:
    """Partial application of a function of a module that a config names.

    Args:
      namespace: Module, such as `fdl.losses`.
      spec: Mapping of ``name`` and keyword arguments of the function.
      **more: Further arguments, which a config cannot hold.

    Returns:
      A function of the remaining, positional arguments.

    Raises:
      UserError: The module has no such function, it takes no such argument, or a
        required keyword-only argument is missing.

    Example:
      >>> import optax
      >>> partial(optax, {"name": "huber_loss", "delta": 2.0})(5.0, 0.0)
      Array(8., dtype=float32, weak_type=True)
    """
    name, function, arguments = _resolve(namespace, spec, more)
    for key, parameter in inspect.signature(function).parameters.items():
        missing = parameter.default is parameter.empty and key not in arguments
        if missing and parameter.kind is parameter.KEYWORD_ONLY:
            raise UserError(f"{name}: missing a required argument: {key!r}")
    return functools.partial(function, **arguments)


def _resolve(
    namespace: Any, spec: Mapping[str, Any], more: Mapping[str, Any]
) -> tuple[str, Any, dict[str, Any]]:
    """Qualified name of a function, the function, and its validated arguments."""
    arguments = {**spec, **more}
    module = namespace.__name__
    if "name" not in arguments:
        raise UserError(f"{dict(spec)} has no 'name' to look up in {module}")
    name = arguments.pop("name")
    # Submodules are attributes of their package, but nothing that can be called.
    modules = {n for n, value in vars(namespace).items() if inspect.ismodule(value)}
    known = [n for n in dir(namespace) if not n.startswith("_") and n not in modules]
    if name not in known or not callable(getattr(namespace, name)):
        # A model may be asked for by its name in torchvision or timm.
        ours = getattr(namespace, "PUBLISHED_NAMES", {}).get(name)
        hint = f": it is called {ours!r} here" if ours else f". {near(name, known)}"
        raise UserError(f"{module} has no {name!r}{hint}")
    function = getattr(namespace, name)
    parameters = _parameters(function)
    kinds = [parameter.kind for parameter in parameters.values()]
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for argument in set(arguments) - set(parameters):
            hint = near(argument, parameters)
            raise UserError(f"{module}.{name} takes no {argument!r}. {hint}")
    if isinstance(arguments.get("activation"), str):
        arguments["activation"] = _activation(arguments["activation"])
    return f"{module}.{name}", function, arguments


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Parameters of a function; of ``**options``, the optional ones of what it makes.

    The functions of the model zoo pass options on to the module that they return, whose
    other attributes they set.
    """
    parameters = dict(inspect.signature(function).parameters)
    made: Any = getattr(function, "__annotations__", {}).get("return")
    open_ended = [n for n, p in parameters.items() if p.kind is p.VAR_KEYWORD]
    makes = isinstance(made, type) and dataclasses.is_dataclass(made)
    if not (open_ended and makes):
        return parameters
    fields = inspect.signature(made).parameters
    options = {n: p for n, p in fields.items() if p.default is not p.empty}
    return options | {n: p for n, p in parameters.items() if n not in open_ended}


def _activation(name: str) -> Any:
    import jax  # The command line reads configs without waiting for jax.

    known = [n for n, value in vars(jax.nn).items() if callable(value) and n[0] != "_"]
    if name not in known:
        raise UserError(f"jax.nn has no activation {name!r}. {near(name, known)}")
    return getattr(jax.nn, name)
