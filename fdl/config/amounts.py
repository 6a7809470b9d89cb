"""Amounts of a config: integers within bounds, periods, numbers of steps."""

import numbers
from typing import Any

from ml_collections import ConfigDict

from fdl.errors import UserError

MAX_STEPS = 2**31 - 1  # Steps are counted in int32.


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
        number = fit(value, int)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise UserError(f"{name}={value!r}: expected an integer from {low} to {high}")
    return number


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


def fit(value: Any, kind: type) -> Any:
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
