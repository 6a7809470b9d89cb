"""Step counts, given as numbers or as shares of a run."""

import math

from fdl.errors import UserError

Steps = int | float  # A number of steps, or a share of the run.


def steps(value: Steps, num_steps: int, key: str, least: int = 0) -> int:
    """Number of steps; a share of the run is rounded to one.

    Args:
      value: Number of steps, or a share of the run: a float below one.
      num_steps: Number of steps of the run.
      key: Name of the option, for the error message.
      least: Minimum number of steps; shares are rounded up to it.

    Raises:
      UserError: The value is neither a number of steps nor a share, or too small.

    Example:
      >>> steps(0.3, 100, "rise"), steps(7, 100, "rise"), steps(0.1, 3, "period", 1)
      (30, 7, 1)
    """
    # A share is told from a number by its type and range alone: 1.0 is one step.
    if isinstance(value, float) and 0 < value < 1:
        return max(least, round(value * num_steps))
    if not math.isfinite(value) or value != int(value) or value < least:
        raise UserError(
            f"{key}={value}: expected at least {least} steps, or a share of the run "
            "between 0 and 1"
        )
    return int(value)
