"""Claims of an experiment, tested against its results over the seeds."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.errors import UserError, near
from fdl.metrics.t_interval import interval
from fdl.runs.directory import write_json
from fdl.types import Claim

HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"


class Verdict(NamedTuple):
    """Verdict on a claim, by the 95 % interval of its measure over the seeds.

    Attributes:
      claim: In words.
      verdict: "holds" if the 95 % interval lies within the bounds, "does not hold" if
        it lies outside, "undecided" if it contains a bound, or if there is no interval
        (as of a single seed).
      measured: Mean over seeds; None if it is not finite.
      interval: 95 % interval of the mean by Student's t, within the range of the metric
        if the measure is one; None for a single seed.
      values: Value of each seed; None where it is not finite.
      at_least: Lower bound; None if none is claimed.
      at_most: Upper bound; None if none is claimed.
    """

    claim: str
    verdict: str
    measured: float | None
    interval: tuple[float, float] | None
    values: list[float | None]
    at_least: float | None
    at_most: float | None

    def __str__(self) -> str:
        """Verdict in one line, with the measured values and the claimed bounds."""
        seeds = len(self.values)
        if self.measured is None:
            numbers = seeds - self.values.count(None)
            result = f"a number in only {numbers} of {seeds} seeds"
        elif self.interval is None:
            result = f"measured {self.measured:.4g}, one seed, no interval"
        else:
            low, high = self.interval
            between = f"{low:.4g} .. {high:.4g}"
            result = f"measured {self.measured:.4g}, 95 % interval {between}"
            result += f" over {seeds} seeds"
        bounds = {"at least": self.at_least, "at most": self.at_most}
        claimed = [f"{name} {x:g}" for name, x in bounds.items() if x is not None]
        result += f", claimed {' and '.join(claimed)}"
        return f"{self.verdict}: {self.claim}: {result}"


def check_claims(claims: Sequence[Claim], values: Mapping[str, Any]) -> None:
    """Checks the claims of an experiment before it is trained.

    Args:
      claims: Claims of the experiment.
      values: Metrics of any evaluation, by name; such as that of the untrained model.

    Raises:
      UserError: A claim has no bound, or bounds that nothing lies within, or asks for
        a metric that is not evaluated.
    """
    for claim in claims:
        if claim.at_least is None and claim.at_most is None:
            raise UserError(f"the claim {claim.text!r} needs at_least or at_most")
        low, high = _bounds(claim)
        if not low <= high:  # NaN fails the comparison.
            raise UserError(
                f"the claim {claim.text!r} expects at least {low:g} and at most "
                f"{high:g}: nothing is"
            )
    evaluate_claims(claims, values)


def evaluate_claims(
    claims: Sequence[Claim], values: Mapping[str, Any]
) -> list[Verdict]:
    """Verdicts on the claims of an experiment, by its last evaluation.

    Args:
      claims: Claims of the experiment.
      values: Metrics by name: a number, or one for each seed [S]; None stands for NaN.

    Raises:
      UserError: A claim asks for a metric that is not evaluated.

    Example:
      >>> claim = Claim("a beats b", lambda m: m["a"] - m["b"], at_least=0.1)
      >>> values = {"a": [0.9, 0.8, 0.85], "b": [0.3, 0.2, 0.2]}
      >>> print(*evaluate_claims([claim], values))
      holds: a beats b: measured 0.6167, 95 % interval 0.545 .. 0.6884 over 3 seeds, \
claimed at least 0.1
    """
    columns = {k: np.atleast_1d(np.array(v, np.float64)) for k, v in values.items()}
    return [_verdict(claim, columns) for claim in claims]


def write_claims(workdir: pathlib.Path, verdicts: Sequence[Verdict]) -> pathlib.Path:
    """Writes verdicts into ``claims.json`` of a run directory; returns its path."""
    path = workdir / "claims.json"
    write_json(path, [verdict._asdict() for verdict in verdicts])
    return path


def _measures(claim: Claim, columns: Mapping[str, np.ndarray]) -> list[float]:
    """Measure of a claim for each seed."""
    num_seeds = max(map(len, columns.values()), default=0)
    measures = []
    for seed in range(num_seeds):
        metrics = {name: column[seed] for name, column in columns.items()}
        try:
            # The verdict reports NaN and infinity, so NumPy need not warn of them.
            with np.errstate(all="ignore"):
                measures.append(float(claim.measure(metrics)))
        except KeyError as error:
            name = str(error.args[0])
            raise UserError(
                f"the claim {claim.text!r} asks for {name!r}, not evaluated. "
                f"{near(name, metrics)}"
            ) from None
    return measures


def _verdict(claim: Claim, columns: Mapping[str, np.ndarray]) -> Verdict:
    values = _measures(claim, columns)
    # A measure that is a metric as it stands has the range of that metric.
    metrics = [name for name, x in columns.items() if np.array_equal(x, values)]
    finite = np.isfinite(values).all()
    mean, _, low, high = interval(values if finite else [], "".join(metrics[:1]))
    # Comparisons with NaN are false: without an interval, the claim stays undecided.
    at_least, at_most = _bounds(claim)
    verdict = OPEN
    if at_least <= low and high <= at_most:
        verdict = HOLDS
    elif high < at_least or low > at_most:
        verdict = FAILS
    return Verdict(
        claim.text,
        verdict,
        mean if np.isfinite(mean) else None,
        (low, high) if np.isfinite(low) else None,
        [value if np.isfinite(value) else None for value in values],
        claim.at_least,
        claim.at_most,
    )


def _bounds(claim: Claim) -> tuple[float, float]:
    """Lower and upper bound, infinite where none is claimed."""
    low = -np.inf if claim.at_least is None else claim.at_least
    return low, np.inf if claim.at_most is None else claim.at_most
