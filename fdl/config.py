"""Configs: how much of everything, with every mistake answered by what was meant."""

import ast
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict, FieldReference, config_dict

from fdl.errors import UserError, near

PERIODS = ("log_every", "eval_every", "save_every")


def base() -> ConfigDict:
    """The keys that the command line reads; an experiment sets those it wants others.

    Returns:
      A config. Periods are "100 steps", "1 epoch" or "never".
    """
    config = ConfigDict()
    config.seed = 0
    config.num_steps = config_dict.placeholder(int)
    config.num_epochs = config_dict.placeholder(int)
    config.log_every = "100 steps"
    config.eval_every = "1000 steps"
    config.save_every = "1000 steps"
    config.steps_per_call = 1  # Steps that run on the device as one fused call.
    config.mesh = {"data": 1}  # Devices that share a batch; -1 for all of them.
    config.keep = 2  # How many of the latest checkpoints stay, beside the best.
    config.best = "min loss"  # By which evaluated metric a checkpoint is the best.
    return config


def complete(config: ConfigDict) -> ConfigDict:
    """An experiment's config over the base, its periods as text, its keys locked."""
    whole = base()
    with whole.ignore_type():
        whole.update(config)
    for key in PERIODS:
        if isinstance(whole[key], int) and not isinstance(whole[key], bool):
            with whole.ignore_type():
                whole[key] = f"{whole[key]} steps" if whole[key] else "never"
    return whole.lock()


def override(config: ConfigDict, assignments: Iterable[str]) -> ConfigDict:
    """Sets keys of a config from texts like ``optimizer.learning_rate=1e-3``.

    Args:
      config: Changed in place, and returned.
      assignments: ``key=value``; the value is read as the type that the key has.

    Raises:
      UserError: No such key, or a value that its type cannot have.
    """
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--config.{path} needs a value: --config.{path}=VALUE")
        *parents, key = path.split(".")
        holder = config
        for depth, parent in enumerate(parents):
            holder = _child(holder, parent, ".".join(parents[: depth + 1]))
            if not isinstance(holder, ConfigDict):
                shown = ".".join(parents[: depth + 1])
                raise UserError(f"config.{shown} is {holder!r}, it has no key {key!r}")
        _child(holder, key, path)
        with holder.ignore_type():
            holder[key] = _read(text, holder, key, path)
    return config


def make(namespace: Any, spec: Mapping[str, Any], **more: Any) -> Any:
    """Calls what a config names: the module is the registry.

    Args:
      namespace: A module, say `optax`.
      spec: ``name``, and the arguments.
      **more: Arguments that the config cannot know.

    Raises:
      UserError: The module has no such function, or it takes no such argument.

    Example:
      >>> import math
      >>> make(math, {"name": "sqrt"}, x=4.0)
      Traceback (most recent call last):
      ...
      fdl.errors.UserError: math.sqrt takes no argument 'x'. There is: .
    """
    arguments = {**spec, **more}
    name = arguments.pop("name")
    known = [n for n in dir(namespace) if not n.startswith("_")]
    module = namespace.__name__
    if name not in known or not callable(getattr(namespace, name)):
        raise UserError(f"{module} has no {name!r}. {near(name, known)}")
    function = getattr(namespace, name)
    parameters = inspect.signature(function).parameters.values()
    named = [
        p.name
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        for argument in arguments:
            if argument not in named:
                hint = near(argument, named)
                raise UserError(
                    f"{module}.{name} takes no argument {argument!r}. {hint}"
                )
    return function(**arguments)


def every(period: str, steps_per_epoch: int | None, key: str) -> int:
    """Steps in a period; zero for never.

    Example:
      >>> every("2 epochs", 45, "eval_every"), every("100", None, "log_every")
      (90, 100)

    Raises:
      UserError: It is no period, or there are no epochs.
    """
    text = period.strip()
    if text in ("never", "0"):
        return 0
    number, _, unit = text.partition(" ")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if unit in ("epoch", "epochs") and value > 0:
        if not steps_per_epoch:
            raise UserError(f"config.{key}={period!r}: this experiment has no epochs")
        return max(1, round(value * steps_per_epoch))
    if unit in ("", "step", "steps") and value > 0 and value.is_integer():
        return int(value)
    raise UserError(
        f"config.{key}={period!r} is no period; "
        "expected for example '100 steps', '1 epoch' or 'never'"
    )


def num_steps(config: ConfigDict, steps_per_epoch: int | None) -> int:
    """How many steps a run has, by ``num_steps`` or ``num_epochs``: exactly one.

    Raises:
      UserError: None or both are set, or there are no epochs to count.
    """
    steps, epochs = config.num_steps, config.num_epochs
    if (steps is None) == (epochs is None):
        raise UserError(
            f"config.num_steps={steps} and config.num_epochs={epochs}: "
            "set exactly one of them, the other to none"
        )
    name, count = ("num_steps", steps) if epochs is None else ("num_epochs", epochs)
    if count <= 0:
        raise UserError(f"config.{name}={count}: expected at least 1")
    if epochs is None:
        return steps
    if not steps_per_epoch:
        raise UserError("config.num_epochs is set, but this experiment has no epochs")
    return epochs * steps_per_epoch


def _child(holder, key, path):
    if key not in holder:
        keys = [str(k) for k in holder]
        raise UserError(f"config has no key {path!r}. {near(key, keys)}")
    return holder[key]


def _read(text, holder, key, path):
    """Reads a value as the type that the key has; `none` empties an optional one."""
    default, optional = holder[key], False
    kind = holder.get_type(key)
    reference = holder.get_oneway_ref(key) if kind is not type(None) else None
    if isinstance(reference, FieldReference) and default is None:
        optional = True
    if key in ("num_steps", "num_epochs") or optional:
        if text.lower() == "none":
            return None
        kind = kind if kind is not type(None) else None
    if kind is str:
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = {"true": True, "false": False}.get(text.lower(), text)
    fitting = _fit(value, kind, default)
    if fitting is None:
        name = kind.__name__ if kind else "value"
        raise UserError(
            f"config.{path} is of type {name} (now {default!r}), not {text!r}"
        )
    return fitting


def _fit(value, kind, default):
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is None:
        return value
    if kind is bool:
        return value if isinstance(value, bool) else None
    if kind is float and number:
        return float(value)
    if kind is int and number and float(value).is_integer():
        return int(value)
    if kind in (tuple, list):
        items = value if isinstance(value, tuple | list) else (value,)
        return kind(items)
    return value if kind is not int and isinstance(value, kind) else None
