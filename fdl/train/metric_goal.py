"""Goals of a run: a metric, and whether less or more of it is better."""

from fdl.errors import UserError


def parse_goal(text: str, name: str) -> tuple[int, str]:
    """What is to become better: 1 where that is less of it, or -1, and its name.

    Example:
      >>> parse_goal("max accuracy", "config.best")
      (-1, 'accuracy')

    Raises:
      UserError: It is not "min METRIC" or "max METRIC".
    """
    mode, _, metric = text.partition(" ") if isinstance(text, str) else ("", "", "")
    if mode not in ("min", "max") or not metric:
        raise UserError(f"{name}={text!r}: expected 'min METRIC' or 'max METRIC'")
    return (1 if mode == "min" else -1), metric
