"""Numbers of steps, and shares of a run."""

import math

from fdl.errors import UserError

Steps = int | float  # A number of steps, or a share of the run.


def steps(value: Steps, num_steps: int, key: str, least: int = 0) -> int:
    """A number of steps; of a share of the run, rounded.

    Args:
      value: The number, or the share: a float below one.
      num_steps: Of the run.
      key: What it is called, for the message.
      least: The smallest number; shares are rounded up to it.

    Raises:
      UserError: It is neither a number nor a share, or too small.

    Example:
      >>> steps(0.3, 100, "rise"), steps(7, 100, "rise"), steps(0.1, 3, "period", 1)
      (30, 7, 1)
    """
    if isinstance(value, float) and 0 < value < 1:
        return max(least, round(value * num_steps))
    if not math.isfinite(value) or value != int(value) or value < least:
        raise UserError(
            f"{key}={value}: expected at least {least} steps, or a share of the run "
            "between 0 and 1"
        )
    return int(value)
