"""Exceptions that the command line reports in one line, without a traceback."""

import difflib
import inspect
import os
import pathlib
import re
from collections.abc import Iterable
from typing import Any

# Characters of a name; names that are searched for a near one, and that are listed.
MAX_NAME, MAX_NAMES, MAX_LISTED = 100, 2000, 100


class UserError(ValueError):
    """Invalid input, which the user can correct; exit code 2 of the command line."""


class RunError(Exception):
    """Failure of a run with valid input; exit code 1 of the command line."""

    # No RuntimeError: if one is raised from a StopIteration, contextlib takes it for
    # what Python makes of that in a generator, and raises the StopIteration again.


class DataWarning(UserWarning):
    """Doubt about the data, which makes results mean less; nothing is changed."""


class DamageError(RunError):
    """File that is not as it was written.

    Attributes:
      folder: Folder whose checksums tell.
      name: Name of the file in it.
    """

    def __init__(self, folder: pathlib.Path, name: str, reason: str):
        super().__init__(f"{folder} is damaged: {name}: {reason}")
        self.folder = folder
        self.name = name


class NonFiniteError(RunError):
    """Metric that is NaN or infinite.

    Attributes:
      metric: Name of the metric.
      step: First step at which it is not finite.
    """

    def __init__(self, metric: str, step: int):
        super().__init__(f"metric {metric!r} became NaN or infinite at step {step}")
        self.metric = metric
        self.step = step


def near(name: str, names: Iterable[str]) -> str:
    """Hint for an unknown name: the nearest of the valid names, or all of them.

    Args:
      name: Name that was given.
      names: Valid names.

    Example:
      >>> near("adamm", ["sgd", "adam"])
      "Did you mean 'adam'?"
      >>> near("lr", ["l2", "learning_rate"])
      "Did you mean 'learning_rate'?"
    """
    names = sorted({*names})
    # Time grows with the square of the lengths, and names may be those of any file.
    short = [other for other in names if len(other) <= MAX_NAME][:MAX_NAMES]
    # Below the default cutoff of 0.6, so that short names with a typo are found.
    close = [other for other in short if _is_same(name[:MAX_NAME], other)][:3]
    close = close or difflib.get_close_matches(name[:MAX_NAME], short, n=3, cutoff=0.5)
    if close:
        return f"Did you mean {' or '.join(map(repr, close))}?"
    listed = ", ".join(other[:MAX_NAME] for other in names[:MAX_LISTED])
    more = len(names) - MAX_LISTED
    return f"There is: {listed}{f' and {more:,} more' if more > 0 else ''}."


def _is_same(name: str, other: str) -> bool:
    """True if names differ in case and separators alone, or one is of initials."""
    words = [word.lower() for word in re.split(r"[\W_]+", other)]
    plain = re.sub(r"[\W_]+", "", name).lower()
    initials = "".join(word[:1] for word in words)
    return len(plain) > 1 and plain in ("".join(words), initials)


def shown(text: str) -> str:
    """Printable form of a text from a file, in one line of at most 201 characters."""
    line = printable(text[:201]).replace("\n", "\\n")
    return line if len(line) <= 200 else f"{line[:200]}…"


def check_positive(**sizes: int) -> None:
    """Checks that sizes are at least 1.

    Args:
      **sizes: Sizes by name.

    Raises:
      UserError: One of them is below 1.

    Example:
      >>> check_positive(num_envs=0)
      Traceback (most recent call last):
      fdl.errors.UserError: num_envs=0: expected at least 1
    """
    for name, size in sizes.items():
        if size < 1:
            raise UserError(f"{name}={size}: expected at least 1")


def check_probability(**values: Any) -> None:
    """Checks that numbers are between 0 and 1: probabilities, discount factors.

    Traced numbers are not checked: their values are not known.

    Args:
      **values: Numbers by name.

    Raises:
      UserError: One of them is outside, or NaN.

    Example:
      >>> check_probability(discount=99)
      Traceback (most recent call last):
      fdl.errors.UserError: discount=99: expected a number from 0 to 1
    """
    for name, value in values.items():
        if isinstance(value, (int, float)) and not 0 <= value <= 1:
            raise UserError(f"{name}={value}: expected a number from 0 to 1")


def check_nonnegative(**values: Any) -> None:
    """Checks that numbers are at least 0, unless they are traced.

    Args:
      **values: Numbers by name.

    Raises:
      UserError: One of them is below, or NaN.

    Example:
      >>> check_nonnegative(clip=-0.2)
      Traceback (most recent call last):
      fdl.errors.UserError: clip=-0.2: expected at least 0
    """
    for name, value in values.items():
        if isinstance(value, (int, float)) and not value >= 0:
            raise UserError(f"{name}={value}: expected at least 0")


def check_type(name: str, value: Any, kind: type, example: str) -> None:
    """Checks the type of an argument.

    Args:
      name: Name of the argument.
      value: Its value.
      kind: Expected type.
      example: Example of such a value.

    Raises:
      UserError: The value is of another type.

    Example:
      >>> check_type("batches", [], dict, "{}")
      Traceback (most recent call last):
      fdl.errors.UserError: batches of type list: expected dict, such as {}
    """
    if not isinstance(value, kind):
        called = getattr(value, "__name__", "")
        what = f"={called}" if called else f" of type {type(value).__name__}"
        raise UserError(f"{name}{what}: expected {kind.__name__}, such as {example}")


def check_parameters(name: str, function: Any, expected: str) -> None:
    """Checks that a function can be called with the expected arguments.

    Args:
      name: Name of the function.
      function: Function.
      expected: Its parameters, such as ``state, batch``; those with a default are
        passed by name.

    Raises:
      UserError: It takes other arguments, or is no function.

    Example:
      >>> check_parameters("step", lambda state: state, "state, batch")
      Traceback (most recent call last):
      fdl.errors.UserError: step(state): expected a function step(state, batch)
    """
    if not callable(function):
        raise UserError(
            f"{name} of type {type(function).__name__}: expected a function "
            f"{name}({expected})"
        )
    try:
        signature = inspect.signature(function)
    except ValueError:  # Some functions that are written in C have none.
        return
    names = expected.split(", ")
    by_name = {name.split("=")[0]: None for name in names if "=" in name}
    try:
        signature.bind(*(name for name in names if "=" not in name), **by_name)
    except TypeError:
        taken = ", ".join(
            str(p.replace(annotation=p.empty)) for p in signature.parameters.values()
        )
        raise UserError(
            f"{name}({taken}): expected a function {name}({expected})"
        ) from None


def printable(text: object) -> str:
    r"""Text in which what controls a terminal is written as an escape.

    Names of files and columns, configs and the messages of other libraries may come
    from anybody. Newlines and tabs remain, and so do the letters of all scripts.

    Example:
      >>> printable("red: \x1b[31m, naïve")
      'red: \\x1b[31m, naïve'
    """
    return re.sub(
        # Control characters, surrogates, separators of lines, and those that change the
        # direction of writing, with which a text can be made to look like another.
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff"
        "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]",
        lambda found: found[0].encode("unicode_escape").decode(),
        str(text),
    )


def describe(error: BaseException) -> str:
    """Type of an exception and the first line of its message, if it has one.

    Example:
      >>> describe(KeyError("accuracy")), describe(AssertionError())
      ("KeyError: 'accuracy'", 'AssertionError')
    """
    first_line = (_message(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}".removesuffix(": ")


def reason(error: BaseException) -> str:
    """Message of an exception, in one line of at most 200 characters."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = _message(error) or type(error).__name__
    # Tensorstore raises a ValueError with the system's error in its text.
    error_code = re.search(r"os_error_code='(\d+)'", text)
    if error_code:
        return os.strerror(int(error_code[1]))
    return text.splitlines()[0][:200]


def _message(error: BaseException) -> str:
    """Message of an exception; empty if its ``__str__`` fails."""
    try:
        return str(error).strip()
    except Exception:
        return ""
