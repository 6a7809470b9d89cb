"""Errors that are told in one line."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something that the user can mend: exit code 2."""


class RunError(RuntimeError):
    """A run that failed by itself: exit code 1."""


class NonFiniteError(RunError):
    """A metric became NaN or infinite.

    Attributes:
      metric: Its name.
      step: The first step at which it was.
    """

    def __init__(self, metric: str, step: int):
        super().__init__(f"metric {metric!r} became NaN or infinite at step {step}")
        self.metric = metric
        self.step = step


def near(name: str, names: Iterable[str]) -> str:
    """Says which of the names was probably meant.

    Example:
      >>> near("adamm", ["sgd", "adam"])
      "Did you mean 'adam'?"
    """
    names = sorted(names)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    return f"There is: {', '.join(names)}."
