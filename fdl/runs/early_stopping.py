"""Early stopping of a run, by the evaluations in its directory."""

import pathlib
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from fdl.config import base
from fdl.errors import UserError, near
from fdl.runs.checkpoint import Checkpoints
from fdl.runs.log import read_lines
from fdl.train.early_stopping import (
    PREFIX,
    EarlyStoppingRule,
    Evaluation,
    best_evaluation,
    make_rule,
)


def rule_of_config(
    config: ConfigDict, eval_every: int, num_steps: int
) -> EarlyStoppingRule | None:
    """Early stopping rule of a config; None if it names no metric.

    Args:
      config: Config of the run, with the group ``early_stopping``.
      eval_every: Steps between two evaluations.
      num_steps: Number of steps of the run.

    Raises:
      UserError: A key or value of the group is invalid.
    """
    group: Any = config.early_stopping
    name = PREFIX.removesuffix(".")
    if not hasattr(group, "keys"):
        raise UserError(f"{name}={group!r}: expected keys such as {name}.metric")
    known = [*base().early_stopping]
    for key in group:
        if key not in known:
            raise UserError(f"{name} has no key {key!r}. {near(key, known)}")
    if group.metric is None:
        return None
    # An evaluation after the last step only is too late to stop.
    if not 0 < eval_every < num_steps:
        raise UserError(
            f"{name} needs evaluations on the way: config.eval_every="
            f"{config.eval_every!r} has none in {num_steps} steps"
        )
    return make_rule(**group, prefix=PREFIX)


def logged_evaluations(
    rule: EarlyStoppingRule, workdir: pathlib.Path, until: int
) -> Iterator[Evaluation]:
    """Evaluations of the rule's metric in a run directory, up to a step."""
    evaluations = evaluations_in(read_lines(workdir / "metrics.jsonl"), rule.metric)
    return (evaluation for evaluation in evaluations if evaluation[0] <= until)


def evaluations_in(
    rows: Iterable[Mapping[str, Any]], metric: str
) -> Iterator[Evaluation]:
    """Evaluations of a metric among the rows of ``metrics.jsonl``."""
    name = f"eval/{metric}"
    return ((row["step"], row[name]) for row in rows if name in row)


def early_stop_message(
    rule: EarlyStoppingRule, workdir: pathlib.Path, step: int, num_steps: int
) -> str:
    """One line on an early stop: the step, the reason and the best checkpoint.

    Args:
      rule: Rule that ended the run.
      workdir: Directory of the run.
      step: Step at which it ended.
      num_steps: Number of steps that it was to have.
    """
    evaluations = [*logged_evaluations(rule, workdir, step)]
    best_step, value = best_evaluation(rule, evaluations)
    several = isinstance(evaluations[0][1], list)  # A list has a value for each seed.
    count = f"{rule.patience} evaluation{'s' if rule.patience > 1 else ''}"
    more = f" by more than {rule.min_delta:g}" if rule.min_delta else ""
    hint = f"fdl eval {shlex.quote(str(workdir))} --checkpoint {best_step}"
    if best_step not in Checkpoints(workdir / "checkpoints").steps():
        hint = "no checkpoint of it was kept, see config.best and config.save_every"
    return (
        f"stopped early, at step {step} of {num_steps}: "
        f"{'no seed got' if several else 'it did not get'} a better {rule.metric}"
        f"{more} in {count}. The best{' on average' if several else ''} was "
        f"{value:.5g}, at step {best_step}: {hint}"
    )
