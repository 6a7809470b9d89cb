"""Check of a codebook, at each evaluation."""

from collections.abc import Mapping

from fdl.errors import RunError
from fdl.types import Evaluate, Variables


def check_codebook(
    evaluate: Evaluate, *, metric: str = "codes_used", at_least: int = 2
) -> Evaluate:
    """Evaluation that ends a run whose codebook has died, in one line.

    Of a codebook of which one code is used, all examples have the same code, and
    nothing is left to reconstruct them from.

    Args:
      evaluate: Evaluation with a metric `codes_used`, such as of
        `objectives.vector_quantised`.
      metric: Name of that metric.
      at_least: Number of codes that have to be in use.

    Returns:
      The same evaluation. It raises a `RunError` if fewer codes are used.

    Example:
      >>> check_codebook(lambda variables: {"codes_used": 1.0})({})
      Traceback (most recent call last):
      fdl.errors.RunError: codes_used=1: expected at least 2; the codebook has died
    """

    def checked(variables: Variables) -> Mapping[str, float]:
        found = evaluate(variables)
        if found[metric] < at_least:
            raise RunError(
                f"{metric}={found[metric]:g}: expected at least {at_least}; the "
                "codebook has died"
            )
        return found

    return checked
