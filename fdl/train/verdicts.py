"""Claims of an experiment, held against what came out over its seeds."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.errors import UserError, near
from fdl.train.folder import write_json
from fdl.train.report import interval
from fdl.types import Claim

HOLDS, FAILS, OPEN = "holds", "does not hold", "undecided"


class Verdict(NamedTuple):
    """What is to be said of a claim.

    Attributes:
      claim: In words.
      verdict: "holds" if the whole 95 % interval lies where it is claimed to, "does not
        hold" if it lies wholly outside, "undecided" otherwise: if it lies across a
        bound, or if there is none, as for a single seed.
      measured: The mean over seeds; None if it is no number.
      interval: Its 95 % interval by Student's t, if there is one.
      values: Of each seed; None where it is no number.
      at_least: The lower bound, if one was claimed.
      at_most: The upper one.
    """

    claim: str
    verdict: str
    measured: float | None
    interval: tuple[float, float] | None
    values: list[float | None]
    at_least: float | None
    at_most: float | None

    def __str__(self) -> str:
        """The verdict in one line."""
        seeds = len(self.values)
        if self.measured is None:
            numbers = seeds - self.values.count(None)
            what = f"a number in only {numbers} of {seeds} seeds"
        elif self.interval is None:
            what = f"measured {self.measured:.4g}, one seed, no interval"
        else:
            low, high = self.interval
            between = f"{low:.4g} .. {high:.4g}"
            what = f"measured {self.measured:.4g}, 95 % interval {between}"
            what += f" over {seeds} seeds"
        bounds = {"at least": self.at_least, "at most": self.at_most}
        claimed = [f"{how} {x:g}" for how, x in bounds.items() if x is not None]
        return f"{self.verdict}: {self.claim}: {what}, claimed {' and '.join(claimed)}"


def check(claims: Sequence[Claim], values: Mapping[str, Any]) -> None:
    """Finds mistakes in claims before anything is trained.

    Args:
      claims: Of an experiment.
      values: Of an evaluation, whenever.

    Raises:
      UserError: A claim has no bound, or asks for a metric that is not evaluated.
    """
    for claim in claims:
        if claim.at_least is None and claim.at_most is None:
            raise UserError(f"the claim {claim.text!r} needs at_least or at_most")
    verdicts(claims, values)


def verdicts(claims: Sequence[Claim], values: Mapping[str, Any]) -> list[Verdict]:
    """Decides on claims.

    Args:
      claims: Of an experiment.
      values: Of its last evaluation: by metric a number, or one for each seed [S]; None
        where it is no number.

    Raises:
      UserError: A claim asks for a metric that is not there.

    Example:
      >>> claim = Claim("a beats b", lambda m: m["a"] - m["b"], at_least=0.1)
      >>> print(*verdicts([claim], {"a": [0.9, 0.8, 0.85], "b": [0.3, 0.2, 0.2]}))
      holds: a beats b: measured 0.6167, 95 % interval 0.545 .. 0.6884 over 3 seeds, \
claimed at least 0.1
    """
    return [_verdict(claim, _of_seeds(claim, values)) for claim in claims]


def evaluated(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The last evaluation among the lines of a run's metrics; None is no number."""
    for row in reversed(rows):
        found = [key for key in row if key.startswith("eval/")]
        if found:
            return {key.removeprefix("eval/"): row[key] for key in found}
    return {}


def write(workdir: pathlib.Path, found: Sequence[Verdict]) -> pathlib.Path:
    """Writes verdicts into ``claims.json`` of a run folder, and returns its path."""
    path = workdir / "claims.json"
    write_json(path, [verdict._asdict() for verdict in found])
    return path


def _of_seeds(claim: Claim, values: Mapping[str, Any]) -> list[float]:
    """What a claim is about, of each seed."""
    columns = {k: np.atleast_1d(np.array(v, np.float64)) for k, v in values.items()}
    seeds = max(map(len, columns.values()), default=0)
    found = []
    for seed in range(seeds):
        of_one = {name: column[seed] for name, column in columns.items()}
        try:
            with np.errstate(all="ignore"):  # What is no number is told as such.
                found.append(float(claim.measure(of_one)))
        except KeyError as error:
            name = str(error.args[0])
            raise UserError(
                f"the claim {claim.text!r} asks for {name!r}, not evaluated. "
                f"{near(name, of_one)}"
            ) from None
    return found


def _verdict(claim: Claim, values: Sequence[float]) -> Verdict:
    finite = np.isfinite(values).all()
    mean, _, half = interval(values) if finite else (np.nan, np.nan, np.nan)
    low, high = mean - half, mean + half
    at_least = -np.inf if claim.at_least is None else claim.at_least
    at_most = np.inf if claim.at_most is None else claim.at_most
    verdict = OPEN
    if at_least <= low and high <= at_most:
        verdict = HOLDS
    elif high < at_least or low > at_most:
        verdict = FAILS
    return Verdict(
        claim.text,
        verdict,
        mean if np.isfinite(mean) else None,
        (low, high) if np.isfinite(half) else None,
        [value if np.isfinite(value) else None for value in values],
        claim.at_least,
        claim.at_most,
    )
