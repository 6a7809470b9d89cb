"""Values of a ``config.json``, checked: what is not supported is one line."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import flax.linen as nn

from fdl.errors import UserError, near, shown

Config = Mapping[str, Any]
Attributes = dict[str, Any]
Value = TypeVar("Value", int, float, bool, str)

_exact_gelu = functools.partial(nn.gelu, approximate=False)
# The first name of a function is the one that is written.
ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "gelu": _exact_gelu,
    "gelu_python": _exact_gelu,
    "gelu_new": nn.gelu,
    "gelu_fast": nn.gelu,
    "gelu_pytorch_tanh": nn.gelu,
    "relu": nn.relu,
    "silu": nn.silu,
    "swish": nn.silu,
}


def value(
    config: Config, name: str, kind: type[Value], default: Value | None = None
) -> Value:
    """Value of a config; an error if it is of another type, or missing for no default.

    Args:
      config: Content of ``config.json``.
      name: Name of the value.
      kind: Type; an integer will do for a float.
      default: Value of a missing one, or of null; None if it is required.

    Raises:
      UserError: It is missing, or of another type.
    """
    found = config.get(name)
    found = default if found is None else found
    if kind is float and type(found) is int:
        found = float(found)
    if type(found) is not kind:
        given = "missing" if name not in config else shown(repr(found))
        raise UserError(f"{name}={given}: expected {kind.__name__}")
    return found


def expect(config: Config, name: str, *known: Any) -> Any:
    """Value of a config that has to be one of the known ones; the first if missing.

    Raises:
      UserError: It is another: what it would change is not implemented.
    """
    found = config.get(name, known[0])
    if not any(
        found == x and isinstance(found, bool) == isinstance(x, bool) for x in known
    ):
        expected = " or ".join(repr(x) for x in known)
        raise UserError(
            f"{name}={shown(repr(found))}: expected {expected}; nothing else is "
            "supported"
        )
    return found


def activation(config: Config, name: str, default: str) -> Callable[..., Any]:
    """Activation function of its name in a config."""
    found = value(config, name, str, default)
    if found not in ACTIVATIONS:
        raise UserError(
            f"{name}={shown(found)!r}: expected an activation that is supported. "
            f"{near(found, ACTIVATIONS)}"
        )
    return ACTIVATIONS[found]


def activation_name(function: Callable[..., Any]) -> str:
    """Name of an activation function in configs; inverse of `activation`."""
    for name, other in ACTIVATIONS.items():
        if _parts(function) == _parts(other):
            return name
    raise UserError(
        f"activation={function!r:.80}: expected one of transformers: "
        f"{', '.join(ACTIVATIONS)}"
    )


def one_rate(config: Config, *names: str) -> float:
    """Dropout rate of a config that gives it under several names.

    Raises:
      UserError: They differ, and the module has a single rate.
    """
    first = value(config, names[0], float, 0.1)
    for name in names[1:]:
        rate = value(config, name, float, first)
        if rate != first:
            raise UserError(
                f"{name}={rate}: expected {first}, that of {names[0]}: the model has "
                "one rate for both; choose it by dropout=RATE"
            )
    return first


def num_labels(config: Config) -> int:
    """Number of classes of a config."""
    names = labels(config)
    return len(names) or value(config, "num_labels", int, 2)


def labels(config: Config) -> tuple[str, ...]:
    """Names of the classes in a config, ``id2label``; empty if it has none."""
    found = config.get("id2label")
    if found is None:
        return ()
    expected = [str(i) for i in range(len(found))] if isinstance(found, dict) else []
    if not expected or {*found} != {*expected}:
        raise UserError(
            f"id2label={shown(repr(found))}: expected names by '0', '1' and so on"
        )
    return tuple(str(found[i]) for i in expected)


def check_general(config: Config) -> None:
    """Checks what configs of all architectures may have.

    Raises:
      UserError: The model needs code of its own, or its weights are quantised.
    """
    if any(str(name).startswith("AutoModel") for name in config.get("auto_map") or ()):
        raise UserError(
            "auto_map: the model has code of its own, which is not run: expected an "
            "architecture of transformers itself"
        )
    if config.get("quantization_config"):
        raise UserError(
            "quantization_config: the weights are quantised: expected those in float"
        )
    expect(config, "is_encoder_decoder", False)
    expect(config, "add_cross_attention", False)
    if config.get("pruned_heads"):
        raise UserError("pruned_heads: expected none; nothing else is supported")


def _parts(function: Callable[..., Any]) -> tuple[Any, dict[str, Any]]:
    """Function and named arguments; two partial objects never are equal."""
    if not isinstance(function, functools.partial):
        # The default of flax's GELU is the approximation.
        return function, {"approximate": True} if function is nn.gelu else {}
    return function.func, function.keywords
