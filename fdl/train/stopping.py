"""Early stopping: a run ends when it has not got better for a while."""

import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from fdl.config import base, goal
from fdl.errors import UserError, near
from fdl.train.loop import Carry, Hook
from fdl.train.report import lines
from fdl.types import State

KEY = "config.early_stopping"
Evaluation = tuple[int, Any]  # A step, and a number, or one of each seed.


class Rule(NamedTuple):
    """When a run is to end early.

    Attributes:
      metric: Of the evaluation, by which it gets better.
      sign: 1 where less of it is better, or -1.
      patience: Evaluations in a row without a new best, after which it ends.
      min_delta: By how much more a new best has to be better than the one before.
    """

    metric: str
    sign: int
    patience: int
    min_delta: float


class Waiting(NamedTuple):
    """How long each seed has not got better, arrays [S].

    Attributes:
      best: The best so far, where less is better.
      waited: Evaluations since then.
      over: Whether it has run out of patience; that is never taken back.
    """

    best: np.ndarray
    waited: np.ndarray
    over: np.ndarray


def rule(config: ConfigDict, eval_every: int, num_steps: int) -> Rule | None:
    """The rule of a config, ``config.early_stopping``; None if it names no metric.

    Raises:
      UserError: It makes no sense.
    """
    given: Any = config.early_stopping
    if not hasattr(given, "keys"):
        raise UserError(f"{KEY}={given!r}: expected keys such as {KEY}.metric")
    known = [*base().early_stopping]
    for key in given:
        if key not in known:
            raise UserError(f"{KEY} has no key {key!r}. {near(key, known)}")
    if given.metric is None:
        return None
    if not 0 < eval_every < num_steps:
        raise UserError(
            f"{KEY} needs evaluations on the way: config.eval_every="
            f"{config.eval_every!r} has none in {num_steps} steps"
        )
    return make(**given, prefix=f"{KEY}.")


def make(
    metric: str, patience: int = 5, min_delta: float = 0.0, prefix: str = ""
) -> Rule:
    """A rule of "min METRIC" or "max METRIC".

    Raises:
      UserError: It makes no sense.
    """
    sign, name = goal(metric, f"{prefix}metric")
    if not isinstance(patience, int) or isinstance(patience, bool) or patience < 1:
        raise UserError(f"{prefix}patience={patience!r}: expected at least 1")
    if not isinstance(min_delta, int | float) or not 0 <= min_delta < float("inf"):
        raise UserError(f"{prefix}min_delta={min_delta!r}: expected at least 0")
    return Rule(name, sign, patience, float(min_delta))


def wait(rule: Rule, waiting: Waiting | None, value: Any) -> Waiting:
    """What one more evaluation changes.

    It is a new best if it is better than the best by more than ``min_delta``. NaN is
    never better than anything.

    Args:
      rule: When to end.
      waiting: What was before; None before the first evaluation.
      value: A number, or one of each seed [S]; None stands for NaN.
    """
    values = rule.sign * np.atleast_1d(np.array(value, np.float64))
    if waiting is None:
        never = np.full(values.shape, np.inf)
        waiting = Waiting(never, np.zeros(values.shape, int), np.isnan(never))
    better = values < waiting.best - rule.min_delta
    waited = np.where(better, 0, waiting.waited + 1)
    return Waiting(
        np.where(better, values, waiting.best),
        waited,
        waiting.over | (waited >= rule.patience),
    )


def end(rule: Rule | None, evaluations: Iterable[Evaluation]) -> int | None:
    """The step at which a run ends early: when every seed has run out of patience.

    Example:
      >>> losses = enumerate([3.0, 2.0, 2.5, 2.0, 1.0])
      >>> end(make("min loss", patience=2), losses)
      3
    """
    if rule is None:
        return None
    waiting = None
    for step, value in evaluations:
        waiting = wait(rule, waiting, value)
        if waiting.over.all():
            return step
    return None


def best(rule: Rule, evaluations: Iterable[Evaluation]) -> tuple[int, float]:
    """The step of the best evaluation, by the mean over seeds, and that mean."""
    means = [(step, float(np.mean(np.array(x, np.float64)))) for step, x in evaluations]
    return min(means, key=lambda pair: (np.isnan(pair[1]), rule.sign * pair[1]))


def evaluations(rule: Rule, workdir: pathlib.Path, until: int) -> Iterator[Evaluation]:
    """What a run folder says of the metric, up to a step."""
    name = f"eval/{rule.metric}"
    for row in lines(workdir / "metrics.jsonl"):
        if name in row and row["step"] <= until:
            yield row["step"], row[name]


def check(rule: Rule, values: Mapping[str, Any], prefix: str = f"{KEY}.") -> None:
    """Raises `UserError` if the metric is not among those of an evaluation."""
    if rule.metric not in values:
        hint = near(rule.metric, values)
        raise UserError(f"{prefix}metric names {rule.metric!r}, not evaluated. {hint}")


def early_stopping(
    evaluate: Callable[[State], Mapping[str, Any]],
    metric: str,
    *,
    every: int,
    patience: int = 5,
    min_delta: float = 0.0,
) -> tuple[Hook, Callable[[], bool]]:
    """Ends `run` when a metric has not got better for a while.

    Args:
      evaluate: ``evaluate(state)``, to numbers, or one of each seed.
      metric: "min METRIC" or "max METRIC".
      every: Steps between two evaluations.
      patience: Evaluations in a row without a new best, after which to end; of every
        seed, if there are several.
      min_delta: By how much more a new best has to be better than the one before.

    Returns:
      A hook, and what to ask whether to stop.

    Raises:
      UserError: There is no such metric, or a number makes no sense.

    Example:
      >>> hook, stop = early_stopping(evaluate, "min loss", every=10)  # doctest: +SKIP
      >>> run(..., hooks=[hook], stop=stop)  # doctest: +SKIP
    """
    if every < 1:
        raise UserError(f"every={every!r}: expected at least 1")
    chosen = make(metric, patience, min_delta)
    see, over = watch(chosen, (), prefix="")

    def call(step: int, carry: Carry) -> Carry:
        see(evaluate(carry.state))
        return carry

    return Hook(every, call), over


def watch(
    rule: Rule | None, before: Iterable[Evaluation], prefix: str = f"{KEY}."
) -> tuple[Callable[[Mapping[str, Any]], None], Callable[[], bool]]:
    """What is to be told of every evaluation, and what says that it is enough."""
    seen: list[Waiting] = []

    def note(value: Any) -> None:
        if rule is not None:
            seen[:] = [wait(rule, seen[0] if seen else None, value)]

    for _, value in before:
        note(value)

    def see(values: Mapping[str, Any]) -> None:
        if rule is not None:
            check(rule, values, prefix)
            note(values[rule.metric])

    def over() -> bool:
        return bool(seen and seen[0].over.all())

    return see, over
