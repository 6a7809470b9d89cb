"""Configs: the common keys, overrides from the command line, functions by name.

Every mistake in a config is a `UserError` with the nearest valid name.
"""

import ast
import dataclasses
import functools
import inspect
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict, config_dict

from fdl.errors import UserError, near

PERIODS = ("log_every", "eval_every", "save_every", "layers_every")
# Keys that may be none although they have a type. A `placeholder` keeps its type when
# it is set, so that the value alone does not tell that none is valid.
OPTIONAL = ("num_steps", "num_epochs", "early_stopping.metric")
MAX_STEPS = 2**31 - 1  # Steps are counted in int32.
# Keys that are integers, with the least and the greatest value.
RANGES = {
    "seed": (0, 2**63 - 1),  # As of `jax.random.key`.
    "num_steps": (1, MAX_STEPS),
    "num_epochs": (1, MAX_STEPS),
    "steps_per_call": (1, 10**6),  # The items of a call are in memory at once.
    "keep": (1, MAX_STEPS),
}


def base() -> ConfigDict:
    """Default config of the keys that the command line reads.

    An experiment overrides the values that it needs to be different.

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
    config.layers_every = "never"  # Period of the per-layer gradient norms.
    config.steps_per_call = 1  # Steps that run on the device as one fused call.
    # On the CPU, keep freed memory for later steps. Small steps that are not fused are
    # a tenth slower, as no step is prepared while another runs.
    config.keep_memory = True
    config.mesh = {"data": 1}  # Devices that share a batch; -1 for all of them.
    config.keep = 2  # Number of latest checkpoints to keep, beside the best.
    config.best = "min loss"  # Evaluated metric by which a checkpoint is the best.
    config.early_stopping = {  # Ends a run that no longer improves.
        "metric": config_dict.placeholder(str),  # Such as "max accuracy"; None: off.
        "patience": 5,  # Consecutive evaluations without a new best.
        "min_delta": 0.0,  # Minimum improvement that counts as a new best.
    }
    return config


def complete(config: ConfigDict) -> ConfigDict:
    """Locked config of the default keys, overridden by those of an experiment.

    Periods that are numbers of steps become text.
    """
    completed = base()
    with completed.ignore_type():
        completed.update(config)
    for key in PERIODS:
        if isinstance(completed[key], int) and not isinstance(completed[key], bool):
            with completed.ignore_type():
                steps = completed[key]
                completed[key] = f"{steps} steps" if steps else "never"
    # Locked, so that a misspelt key is an error rather than a new key.
    return completed.lock()


def check_ranges(config: ConfigDict) -> ConfigDict:
    """Checks the integers among the default keys of a complete config; returns it.

    Raises:
      UserError: One is no integer, or out of its range.
    """
    for key, (low, high) in RANGES.items():
        if config[key] is not None or key not in OPTIONAL:
            number = in_range(f"config.{key}", config[key], low, high)
            with config.ignore_type():
                config[key] = number
    return config


def in_range(name: str, value: Any, low: int, high: int) -> int:
    """Integer of a number that is one, such as 1e3.

    Args:
      name: Name of the option, for errors.
      value: Its value.
      low: Least value.
      high: Greatest value.

    Raises:
      UserError: It is no integer, or out of the range.

    Example:
      >>> in_range("--seeds", 0, 1, 10)
      Traceback (most recent call last):
      fdl.errors.UserError: --seeds=0: expected an integer from 1 to 10
    """
    try:
        number = _fit(value, int)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise UserError(f"{name}={value!r}: expected an integer from {low} to {high}")
    return number


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


def every(period: str, steps_per_epoch: int | None, key: str) -> int:
    """Number of steps of a period; zero for "never".

    Args:
      period: Period such as "100 steps", "1 epoch", "100" or "never".
      steps_per_epoch: Number of steps of an epoch, or None if there are no epochs.
      key: Key of the config, for the error message.

    Example:
      >>> every("2 epochs", 45, "eval_every"), every("100", None, "log_every")
      (90, 100)

    Raises:
      UserError: The text is not a period, or there are no epochs.
    """
    text = period.strip()
    if text in ("never", "0"):
        return 0
    number, _, unit = text.partition(" ")
    try:
        value = float(number)
    except ValueError:
        value = -1.0  # Refused below, with all other values that are not positive.
    if unit in ("epoch", "epochs") and 0 < value < float("inf"):
        if not steps_per_epoch:
            raise UserError(
                f"config.{key}={period!r}: expected a number of steps, as this "
                "experiment has no epochs"
            )
        return max(1, round(value * steps_per_epoch))
    if unit in ("", "step", "steps") and value > 0 and value.is_integer():
        return int(value)
    raise UserError(
        f"config.{key}={period!r}: expected a period such as '100 steps', '1 epoch' or "
        "'never'"
    )


def num_steps(config: ConfigDict, steps_per_epoch: int | None) -> int:
    """Number of steps of a run, from ``num_steps`` or ``num_epochs`` of its config.

    Args:
      config: Config, of which exactly one of the two keys is set.
      steps_per_epoch: Number of steps of an epoch, or None if there are no epochs.

    Raises:
      UserError: Neither or both keys are set, or there are no epochs.
    """
    steps, epochs = config.num_steps, config.num_epochs
    if (steps is None) == (epochs is None):
        raise UserError(
            f"config.num_steps={steps} and config.num_epochs={epochs}: "
            "set exactly one of them, the other to none"
        )
    if epochs is None:
        return in_range("config.num_steps", steps, 1, MAX_STEPS)
    if not steps_per_epoch:
        raise UserError(
            f"config.num_epochs={epochs}: expected num_steps in place of it, as this "
            "experiment has no epochs"
        )
    return steps_per_epoch * in_range(
        "config.num_epochs", epochs, 1, MAX_STEPS // steps_per_epoch
    )


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
        return _fit(_literal(text), kind)
    except ValueError:
        raise UserError(
            f"config.{path}={text!r}: expected a value of type {kind.__name__}, as "
            f"{default!r}"
        ) from None


def _fit(value: Any, kind: type) -> Any:
    """Value converted to a type without loss of information.

    Raises:
      ValueError: There is no such conversion.
    """
    # `bool` is a subclass of `int`, but true is no number of steps.
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if kind is float and is_number:
        try:
            return float(value)
        except OverflowError:
            raise ValueError from None
    whole = is_number and (
        isinstance(value, numbers.Integral) or float(value).is_integer()
    )
    if kind is int and whole:
        return int(value)
    if kind in (tuple, list):  # A single value is a sequence of one.
        return kind(value if isinstance(value, tuple | list) else (value,))
    if kind is type(None) or type(value) is kind:
        return value
    raise ValueError
