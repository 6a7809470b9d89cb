"""Returns of `fdl compare`: robust means, probabilities of improvement, profiles."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fdl.cli.compare_csv import LETTERS
from fdl.errors import UserError
from fdl.metrics.bootstrap import Interval
from fdl.metrics.run_scores import (
    interquartile_mean,
    probability_of_improvement,
    stratified_interval,
)
from fdl.runs.directory import writing
from fdl.runs.log import read_lines
from fdl.runs.open_run import Run

RETURN = "episode_return"  # Metric of `fdl.rl.on_episodes`.


def returns_of(metrics: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Returns of the seeds of each run, float64 [S], by its letter; none without."""
    if not all(RETURN in each for each in metrics):
        return {}
    found = [np.asarray(each[RETURN], np.float64) for each in metrics]
    return dict(zip(LETTERS, found, strict=False))


def returns_in_words(returns: Mapping[str, np.ndarray]) -> list[str]:
    """Lines of the interquartile means, and the probabilities of improvement on A."""
    if not returns:
        return []
    first = returns["A"]
    lines = []
    for letter, own in returns.items():
        line = f"{letter}: interquartile mean of {RETURN} "
        line += bounded(stratified_interval(interquartile_mean, own))
        if letter != "A":
            better = stratified_interval(probability_of_improvement, first, own)
            line += f"; better than A with probability {bounded(better)}"
        lines.append(line)
    return [*lines, "(95 % intervals of resampled seeds)"]


def bounded(found: Interval) -> str:
    """Value with its interval."""
    return f"{found.value:.4g} ({found.low:.4g} .. {found.high:.4g})"


def draw_returns(
    returns: Mapping[str, np.ndarray], runs: Sequence[Run], path: pathlib.Path
) -> None:
    """Draws the performance profiles of runs, and their curves by environment steps.

    Args:
      returns: Returns of the seeds of each run, by its letter.
      runs: The runs.
      path: Path of the picture.

    Raises:
      UserError: There are no returns.
    """
    if not returns:
        raise UserError(
            f"--output={path}: expected a .csv file, as there are no returns of "
            f"several seeds under {RETURN}"
        )
    from fdl import plots  # Imports matplotlib.

    named = {
        f"{x}: {run.loaded.name}": (x, run)
        for x, run in zip(returns, runs, strict=True)
    }
    scores = {name: returns[letter] for name, (letter, _) in named.items()}
    curves = {name: found for name, (_, run) in named.items() if (found := curve(run))}
    figure = plots.performance_profiles(scores, curves=curves, name="return")
    with writing(path):
        plots.save(figure, path)


def curve(run: Run) -> tuple[np.ndarray, np.ndarray] | None:
    """Environment steps [T] and returns in training, float [T, S]; None without."""
    unit, key = run.setup.batches.unit, f"train/{RETURN}"
    rows = [
        row
        for row in read_lines(run.workdir / "metrics.jsonl")
        if row.get(key) is not None and unit in row
    ]
    if not rows:
        return None
    values = [np.ravel(row[key]).astype(float) for row in rows]
    return np.array([row[unit] for row in rows]), np.stack(values)
