"""Overrides of a config by texts, as of the command line."""

import ast
from collections.abc import Iterable
from typing import Any

from ml_collections import ConfigDict

from fdl.config.amounts import fit
from fdl.config.keys import OPTIONAL
from fdl.errors import UserError, near


def override(config: ConfigDict, assignments: Iterable[str]) -> ConfigDict:
    """Config with keys set by texts such as ``optimizer.learning_rate=1e-3``.

    A group with a ``name`` holds the arguments of the function of that name (see
    `make`): any argument may be set, whether the config has it or not. A text in such a
    group is short for a group with this ``name`` alone.

    Args:
      config: Config, which is changed in place and returned.
      assignments: Texts ``key=value``; the value is parsed as the type of the key.

    Raises:
      UserError: There is no such key, or its type does not allow for the value.

    Example:
      >>> config = ConfigDict({"optimizer": {"name": "sgd", "schedule": "constant"}})
      >>> texts = "momentum=0.9", "schedule=step", "schedule.factor=0.5"
      >>> override(config, [f"optimizer.{text}" for text in texts]).optimizer.to_dict()
      {'momentum': 0.9, 'name': 'sgd', 'schedule': {'factor': 0.5, 'name': 'step'}}
    """
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--config.{path} needs a value: --config.{path}=VALUE")
        *parents, key = path.split(".")
        holder = config
        for depth, parent in enumerate(parents):
            shown = ".".join(parents[: depth + 1])
            holder = _group(holder, parent, shown, key)
        if "name" in holder and key not in holder:
            # An argument that the config leaves at its default, whose type is not
            # known here; `make` checks its name later.
            with holder.unlocked():
                holder[key] = _literal(text)
            continue
        _child(holder, key, path)
        # The type is checked by `_read`, whose message is in terms of the command line.
        with holder.ignore_type():
            holder[key] = _read(text, holder, key, path)
    return config


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves of a config by dotted key, as they are set on the command line."""
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        inner = hasattr(value, "items")
        leaves |= flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return leaves


def _child(holder, key, path):
    if key not in holder:
        keys = [str(k) for k in holder]
        raise UserError(f"config has no key {path!r}. {near(key, keys)}")
    return holder[key]


def _group(holder: ConfigDict, key: str, path: str, within: str) -> ConfigDict:
    """Group of a key; a text in a group with a name becomes one with that name.

    So ``schedule.factor=0.5`` works where the config has ``schedule="step"``.
    """
    value = _child(holder, key, path)
    if isinstance(value, str) and "name" in holder and key != "name":
        with holder.ignore_type():
            holder[key] = ConfigDict({"name": value})
        value = holder[key]
    if not isinstance(value, ConfigDict):
        raise UserError(f"config.{path} is {value!r}, it has no key {within!r}")
    return value


def _literal(text: str) -> Any:
    """Value of a text as a Python literal, or else the text itself."""
    try:
        return ast.literal_eval(text)
    # TypeError: of a list as a dict's key; the last two: of deep nesting.
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def _read(text: str, holder: ConfigDict, key: str, path: str) -> Any:
    """Value of a text, as the type of its key; ``none`` for an optional key."""
    default, kind = holder[key], holder.get_type(key)
    if isinstance(default, ConfigDict):
        keys = ", ".join(f"{path}.{name}" for name in default)
        raise UserError(f"config.{path} is a group: set one of {keys}")
    if (default is None or path in OPTIONAL) and text.lower() == "none":
        return None
    if kind is str:
        return text
    try:
        return fit(_literal(text), kind)
    except ValueError:
        raise UserError(
            f"config.{path}={text!r}: expected a value of type {kind.__name__}, as "
            f"{default!r}"
        ) from None
