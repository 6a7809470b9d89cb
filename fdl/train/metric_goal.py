"""Goals of a run: a metric, and whether less or more of it is better."""

from fdl.errors import UserError


def parse_goal(text: str, name: str) -> tuple[int, str]:
    """Sign and name of a metric to minimise (1) or to maximise (-1).

    The metric times the sign is to be minimised.

    Args:
      text: "min METRIC" or "max METRIC".
      name: Name of the option, for the error message.

    Example:
      >>> parse_goal("max accuracy", "config.best")
      (-1, 'accuracy')

    Raises:
      UserError: The text has neither form.
    """
    mode, _, metric = text.partition(" ") if isinstance(text, str) else ("", "", "")
    if mode not in ("min", "max") or not metric:
        raise UserError(f"{name}={text!r}: expected 'min METRIC' or 'max METRIC'")
    return (1 if mode == "min" else -1), metric
