"""Parsing of "min METRIC" and "max METRIC"."""

from fdl.errors import UserError


def parse_goal(text: str, name: str) -> tuple[int, str]:
    """Sign and name of a metric to optimise: 1 to minimise it, -1 to maximise it.

    Args:
      text: "min METRIC" or "max METRIC".
      name: Name of the option, for errors.

    Example:
      >>> parse_goal("max accuracy", "config.best")
      (-1, 'accuracy')

    Raises:
      UserError: The text is of another form.
    """
    mode, _, metric = text.partition(" ") if isinstance(text, str) else ("", "", "")
    if mode not in ("min", "max") or not metric:
        raise UserError(f"{name}={text!r}: expected 'min METRIC' or 'max METRIC'")
    return (1 if mode == "min" else -1), metric
