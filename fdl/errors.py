"""Errors that are told in one line."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something that the user can mend: exit code 2."""


class RunError(RuntimeError):
    """A run that failed by itself: exit code 1."""


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
