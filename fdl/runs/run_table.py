"""Table of runs, read from their folders alone: state, config and metrics.

It imports no experiment and writes nothing.
"""

import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fdl.config import flat
from fdl.errors import RunError, UserError, reason
from fdl.metrics.names import in_order
from fdl.runs import failure
from fdl.runs.directory import is_locked
from fdl.runs.early_stopping import evaluations_in
from fdl.runs.experiment import replicates
from fdl.runs.log import last_values, read_lines
from fdl.runs.record import read_record
from fdl.train.early_stopping import make_rule, stop_step
from fdl.train.metric_goal import parse_goal

MARKS = {"run.json", "metrics.jsonl"}  # A folder with one of them is that of a run.
METRICS = ("eval/", "test/")  # Beginnings of their columns.

Row = dict[str, Any]


def run_folders(folder: str | pathlib.Path) -> Iterator[pathlib.Path]:
    """Folders of runs at a folder and below it, in alphabetical order."""
    for path, folders, names in os.walk(folder):
        if MARKS & {*names}:
            folders.clear()
            yield pathlib.Path(path)
        folders[:] = sorted(name for name in folders if not name.startswith("."))


def read_row(workdir: pathlib.Path) -> Row:
    """Row of a run.

    Returns:
      Values by column: ``run``, ``state`` (running, finished, stopped, failed or
      broken), ``step``, ``experiment``, ``seeds``; ``metric``, what the config calls
      best, with its ``best`` validation, the ``best step``, and its last ``validation``
      and ``test``; ``config.KEY`` of each key of the config; all metrics of the last
      validation and test as in ``metrics.jsonl``, ``eval/loss``. Metrics of several
      seeds or folds are lists. Of a broken run there is the ``problem`` instead.
    """
    try:
        return {"run": str(workdir), **_read(workdir)}
    # A folder may come from elsewhere: whatever it holds costs no more than its row.
    except Exception as error:
        known = isinstance(error, UserError | RunError | OSError)
        problem = reason(error) if known else f"{type(error).__name__}: {error}"
        return {"run": str(workdir), "state": "broken", "problem": problem}


def _read(workdir: pathlib.Path) -> Row:
    run, config = read_record(workdir)
    rows = read_lines(workdir / "metrics.jsonl")
    step = rows[-1]["step"] if rows else 0
    return {
        "state": _state(workdir, config, rows),
        "step": step,
        "experiment": run["experiment"],
        "seeds": replicates(run["seeds"], config),
        # A list would be one value for each seed.
        **{
            f"config.{key}": tuple(value) if isinstance(value, list) else value
            for key, value in flat(config).items()
        },
        **_best(config["best"], rows),
        **{
            f"{split}/{name}": value
            for split in ("eval", "test")
            for name, value in last_values(rows, split).items()
        },
    }


def _state(
    workdir: pathlib.Path, config: Mapping[str, Any], rows: Sequence[Row]
) -> str:
    if is_locked(workdir):
        return "running"
    if rows and _has_ended(config, rows):
        return "finished"
    # A run that was resumed after a failure, and came further, is past it.
    failed = failure.read_description(workdir)
    if failed and failed["step"] >= (rows[-1]["step"] if rows else 0):
        return "failed"
    return "stopped"


def _has_ended(config: Mapping[str, Any], rows: Sequence[Row]) -> bool:
    """True if the last step of a run was logged, or the one of an early stop."""
    last, length = rows[-1], "num_steps"
    if config.get(length) is None:
        length = "num_epochs"
    reached = last["step"] if length == "num_steps" else last.get("epoch", 0)
    if reached >= config[length] or last_values(rows, "test"):
        return True
    rule = config["early_stopping"]
    if rule["metric"] is None:
        return False
    stopping = make_rule(**rule)
    evaluations = evaluations_in(rows, stopping.metric)
    return stop_step(stopping, evaluations) is not None


def _best(goal: str, rows: Sequence[Row]) -> Row:
    """Best evaluation, by the metric that the config names; of seeds, on average."""
    sign, metric = parse_goal(goal, "config.best")
    key = f"eval/{metric}"
    scored = [(sign * mean(row[key]), row) for row in rows if key in row]
    finite = [pair for pair in scored if np.isfinite(pair[0])]
    if not finite:
        return {"metric": goal}
    _, row = min(finite, key=lambda pair: pair[0])
    return {
        "metric": goal,
        "best": row[key],
        "best step": row["step"],
        "validation": last_values(rows, "eval").get(metric),
        "test": last_values(rows, "test").get(metric),
    }


def mean(value: Any) -> float:
    """Mean of a metric over seeds or folds; None stands for NaN."""
    values = np.array(value, np.float64)
    return float(values.mean()) if values.size else float("nan")


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Columns of a table of runs: those of all runs, then config and metrics."""
    found = [*dict.fromkeys(key for row in rows for key in row)]
    config = [key for key in found if key.startswith("config.")]
    metrics = [key for split in METRICS for key in found if key.startswith(split)]
    others = [key for key in found if key not in {*config, *metrics}]
    return [*others, *config, *in_order(metrics)]


def differing(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Config of each run by key, where it differs among runs of its experiment."""
    keys = [key for key in columns_of(rows) if key.startswith("config.")]
    values: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        for key in keys if row["state"] != "broken" else ():
            place = row["experiment"], key
            values.setdefault(place, set()).add(repr(row.get(key)))
    return [
        {
            key.removeprefix("config."): value
            for key, value in row.items()
            if len(values.get((row.get("experiment", ""), key), ())) > 1
        }
        for row in rows
    ]
