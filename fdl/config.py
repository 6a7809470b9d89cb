"""Configs: how much of everything, with every mistake answered by what was meant."""

import ast
import functools
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict, config_dict

from fdl.errors import UserError, near

PERIODS = ("log_every", "eval_every", "save_every", "layers_every")
OPTIONAL = ("num_steps", "num_epochs", "early_stopping.metric")


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
    config.layers_every = "never"  # Norms of each layer, to be drawn over time.
    config.steps_per_call = 1  # Steps that run on the device as one fused call.
    config.keep_memory = True  # On the CPU; costs many small, unfused steps a tenth.
    config.mesh = {"data": 1}  # Devices that share a batch; -1 for all of them.
    config.keep = 2  # How many of the latest checkpoints stay, beside the best.
    config.best = "min loss"  # By which evaluated metric a checkpoint is the best.
    config.early_stopping = {  # Ends a run that has not got better for a while.
        "metric": config_dict.placeholder(str),  # Such as "max accuracy"; or never.
        "patience": 5,  # Evaluations in a row without a new best.
        "min_delta": 0.0,  # By how much a new best has to be better.
    }
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

    A group with a ``name`` holds the arguments of what it names (see `make`): there are
    as many as that takes, whether the config has them or not. A text in such a group
    stands for a group that has no more than this name.

    Args:
      config: Changed in place, and returned.
      assignments: ``key=value``; the value is read as the type that the key has.

    Raises:
      UserError: No such key, or a value that its type cannot have.

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
            with holder.unlocked():
                holder[key] = _literal(text)
            continue
        _child(holder, key, path)
        with holder.ignore_type():
            holder[key] = _read(text, holder, key, path)
    return config


def make(namespace: Any, spec: Mapping[str, Any], **more: Any) -> Any:
    """Calls what a config names: the module is the registry.

    An ``activation`` may be named as well: by its name in `jax.nn`.

    Args:
      namespace: A module, say `optax`.
      spec: ``name``, and the arguments.
      **more: Arguments that the config cannot know.

    Raises:
      UserError: The module has no such function, or it takes no such argument.

    Example:
      >>> import optax
      >>> make(optax, {"name": "constant_schedule"}, value=0.1)(7)
      0.1
    """
    name, function, arguments = _named(namespace, spec, more)
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise UserError(f"{name}: {error}") from None
    return function(**arguments)


def flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves of a config by dotted key, as they are set on the command line."""
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        inner = hasattr(value, "items")
        leaves |= flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return leaves


def partial(
    namespace: Any, spec: Mapping[str, Any], **more: Any
) -> functools.partial[Any]:
    """What a config names, with all but its first arguments: to be called later.

    Args:
      namespace: A module, say `fdl.losses`.
      spec: ``name``, and arguments by keyword.
      **more: Arguments that the config cannot know.

    Raises:
      UserError: The module has no such function, it takes no such argument, or one is
        missing that can only be given by keyword.

    Example:
      >>> import optax
      >>> partial(optax, {"name": "huber_loss", "delta": 2.0})(5.0, 0.0)
      Array(8., dtype=float32, weak_type=True)
    """
    name, function, arguments = _named(namespace, spec, more)
    for key, parameter in inspect.signature(function).parameters.items():
        needed = parameter.default is parameter.empty and key not in arguments
        if needed and parameter.kind is parameter.KEYWORD_ONLY:
            raise UserError(f"{name}: missing a required argument: {key!r}")
    return functools.partial(function, **arguments)


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
    if unit in ("epoch", "epochs") and 0 < value < float("inf"):
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


def _named(
    namespace: Any, spec: Mapping[str, Any], more: Mapping[str, Any]
) -> tuple[str, Any, dict[str, Any]]:
    """The full name of a function, the function, and arguments that it can take."""
    arguments = {**spec, **more}
    module = namespace.__name__
    if "name" not in arguments:
        raise UserError(f"{dict(spec)} has no 'name' to look up in {module}")
    name = arguments.pop("name")
    parts = {n for n, value in vars(namespace).items() if inspect.ismodule(value)}
    known = [n for n in dir(namespace) if not n.startswith("_") and n not in parts]
    if name not in known or not callable(getattr(namespace, name)):
        raise UserError(f"{module} has no {name!r}. {near(name, known)}")
    function = getattr(namespace, name)
    parameters = inspect.signature(function).parameters
    kinds = [parameter.kind for parameter in parameters.values()]
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for argument in set(arguments) - set(parameters):
            hint = near(argument, parameters)
            raise UserError(f"{module}.{name} takes no {argument!r}. {hint}")
    if isinstance(arguments.get("activation"), str):
        arguments["activation"] = _activation(arguments["activation"])
    return f"{module}.{name}", function, arguments


def _activation(name: str) -> Any:
    import jax

    known = [n for n, value in vars(jax.nn).items() if callable(value) and n[0] != "_"]
    if name not in known:
        raise UserError(f"jax.nn has no activation {name!r}. {near(name, known)}")
    return getattr(jax.nn, name)


def _child(holder, key, path):
    if key not in holder:
        keys = [str(k) for k in holder]
        raise UserError(f"config has no key {path!r}. {near(key, keys)}")
    return holder[key]


def _group(holder: ConfigDict, key: str, path: str, within: str) -> ConfigDict:
    """The group of a key; of a text in a group with a name, one of that name."""
    value = _child(holder, key, path)
    if isinstance(value, str) and "name" in holder and key != "name":
        with holder.ignore_type():
            holder[key] = ConfigDict({"name": value})
        value = holder[key]
    if not isinstance(value, ConfigDict):
        raise UserError(f"config.{path} is {value!r}, it has no key {within!r}")
    return value


def _literal(text: str) -> Any:
    """A text as Python reads it, or else as it is."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):  # The last of a list as a key.
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def _read(text: str, holder: ConfigDict, key: str, path: str) -> Any:
    """Reads a value as the type that the key has; ``none`` empties an optional one."""
    default, kind = holder[key], holder.get_type(key)
    if isinstance(default, ConfigDict):
        keys = ", ".join(f"{path}.{name}" for name in default)
        raise UserError(f"config.{path} is a group: set one of {keys}")
    if (default is None or path in OPTIONAL) and text.lower() == "none":
        return None
    if kind is str:
        return text
    try:
        return _fit(_literal(text), kind)
    except ValueError:
        shown = f"config.{path} is of type {kind.__name__} (now {default!r})"
        raise UserError(f"{shown}, it cannot be {text!r}") from None


def _fit(value: Any, kind: type) -> Any:
    """The value as a type, where no meaning is lost; or a `ValueError`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and number:
        return float(value)
    if kind is int and number and float(value).is_integer():
        return int(value)
    if kind in (tuple, list):
        return kind(value if isinstance(value, tuple | list) else (value,))
    if kind is type(None) or type(value) is kind:
        return value
    raise ValueError
