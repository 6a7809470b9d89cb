"""CSV files of `fdl compare`: examples, seeds or folds by run."""

import csv
import io
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fdl.evaluation import ExampleScores

LETTERS = string.ascii_uppercase  # Of the runs, in the order of the command.


def examples_as_csv(
    scores: Sequence[Mapping[str, ExampleScores]], names: Sequence[str]
) -> str:
    """CSV of the examples that only some models have right; all, without accuracy.

    Args:
      scores: Scores of each run by metric.
      names: Metrics to write, a column of each run.
    """
    columns = {name: [x[name].values for x in scores] for name in names}
    letters = LETTERS[: len(scores)]
    indices, sides = np.arange(len(columns[names[0]][0])), {}
    if "accuracy" in columns:
        right = np.array(columns["accuracy"]) >= 1
        indices = np.flatnonzero(right.any(axis=0) & ~right.all(axis=0))
        sides = {i: "".join(np.array([*letters])[right[:, i]]) for i in indices}
    header = [f"{name}_{letter}" for name in names for letter in letters]
    rows = [
        [i, *([sides[i]] if sides else [])]
        + [f"{column[i]:.7g}" for name in names for column in columns[name]]
        for i in indices
    ]
    right_column = ["right"] if "accuracy" in columns else []
    return as_csv([["example", *right_column, *header], *rows])


def replicates_as_csv(
    unit: str,
    members: Sequence[range],
    metrics: Sequence[Mapping[str, Any]],
    names: Sequence[str],
) -> str:
    """CSV of a row for each seed or fold, empty where a run has none of it.

    Args:
      unit: "seed" or "fold".
      members: Seeds or folds of each run.
      metrics: Metrics of each run, float [S] by name.
      names: Metrics to write, a column of each run.
    """
    letters = LETTERS[: len(members)]
    header = [unit, *(f"{name}_{letter}" for name in names for letter in letters)]
    rows = [
        [k]
        + [
            f"{values[name][own.index(k)]:.7g}" if k in own else ""
            for name in names
            for own, values in zip(members, metrics, strict=True)
        ]
        for k in sorted({k for own in members for k in own})
    ]
    return as_csv([header, *rows])


def as_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Text of a CSV file."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
