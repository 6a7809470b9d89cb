"""Early stopping: a run ends when a metric has not improved for a while."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fdl.errors import UserError, near
from fdl.train.hooks import Hook
from fdl.train.loop_state import LoopState
from fdl.train.metric_goal import parse_goal
from fdl.types import State

PREFIX = "config.early_stopping."  # Of names in errors, where a config holds the rule.
Evaluation = tuple[int, Any]  # A step, and a number, or one of each seed.


class EarlyStoppingRule(NamedTuple):
    """Early stopping rule.

    Attributes:
      metric: Name of a metric of the evaluation.
      sign: 1 if less of it is better, -1 if more.
      patience: Evaluations in a row without a new best, after which it ends.
      min_delta: By how much more a new best has to be better than the one before.
    """

    metric: str
    sign: int
    patience: int
    min_delta: float


class Patience(NamedTuple):
    """Evaluations since the last improvement of each seed, arrays [S].

    Attributes:
      best: The best so far times the sign of the rule, so that less is better.
      waited: Evaluations since the best.
      over: True once a seed has run out of patience; it stays so.
    """

    best: np.ndarray
    waited: np.ndarray
    over: np.ndarray


def make_rule(
    metric: str, patience: int = 5, min_delta: float = 0.0, prefix: str = ""
) -> EarlyStoppingRule:
    """Early stopping rule of "min METRIC" or "max METRIC".

    Raises:
      UserError: It makes no sense.
    """
    sign, name = parse_goal(metric, f"{prefix}metric")
    if not isinstance(patience, int) or isinstance(patience, bool) or patience < 1:
        raise UserError(f"{prefix}patience={patience!r}: expected at least 1")
    if not isinstance(min_delta, int | float) or not 0 <= min_delta < float("inf"):
        raise UserError(f"{prefix}min_delta={min_delta!r}: expected at least 0")
    return EarlyStoppingRule(name, sign, patience, float(min_delta))


def update_patience(
    rule: EarlyStoppingRule, patience: Patience | None, value: Any
) -> Patience:
    """Patience after one more evaluation.

    It is a new best if it is better than the best by more than ``min_delta``. NaN is
    never better than anything.

    Args:
      rule: The rule.
      patience: Before; None before the first evaluation.
      value: A number, or one of each seed [S]; None stands for NaN.
    """
    values = rule.sign * np.atleast_1d(np.array(value, np.float64))
    if patience is None:
        never = np.full(values.shape, np.inf)
        patience = Patience(never, np.zeros(values.shape, int), np.isnan(never))
    better = values < patience.best - rule.min_delta
    waited = np.where(better, 0, patience.waited + 1)
    return Patience(
        np.where(better, values, patience.best),
        waited,
        patience.over | (waited >= rule.patience),
    )


def stop_step(
    rule: EarlyStoppingRule | None, evaluations: Iterable[Evaluation]
) -> int | None:
    """Step at which every seed has run out of patience; None if there is none.

    Example:
      >>> losses = enumerate([3.0, 2.0, 2.5, 2.0, 1.0])
      >>> stop_step(make_rule("min loss", patience=2), losses)
      3
    """
    if rule is None:
        return None
    patience = None
    for step, value in evaluations:
        patience = update_patience(rule, patience, value)
        if patience.over.all():
            return step
    return None


def best_evaluation(
    rule: EarlyStoppingRule, evaluations: Iterable[Evaluation]
) -> tuple[int, float]:
    """Step and mean over seeds of the best evaluation; NaN is never the best."""
    means = [(step, float(np.mean(np.array(x, np.float64)))) for step, x in evaluations]
    return min(means, key=lambda pair: (np.isnan(pair[1]), rule.sign * pair[1]))


def check_metric(
    rule: EarlyStoppingRule, values: Mapping[str, Any], prefix: str = PREFIX
) -> None:
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
    """Early stopping of `run`: ends it when a metric has not improved for a while.

    Args:
      evaluate: ``evaluate(state)``, to numbers, or one of each seed.
      metric: "min METRIC" or "max METRIC".
      every: Steps between two evaluations.
      patience: Evaluations in a row without a new best, after which to end; of every
        seed, if there are several.
      min_delta: By how much more a new best has to be better than the one before.

    Returns:
      A hook, and the function to give to `run` as ``stop``.

    Raises:
      UserError: There is no such metric, or a number makes no sense.

    Example:
      >>> hook, stop = early_stopping(evaluate, "min loss", every=10)  # doctest: +SKIP
      >>> run(..., hooks=[hook], stop=stop)  # doctest: +SKIP
    """
    if every < 1:
        raise UserError(f"every={every!r}: expected at least 1")
    rule = make_rule(metric, patience, min_delta)
    update, over = monitor(rule, (), prefix="")

    def call(step: int, loop_state: LoopState) -> LoopState:
        update(evaluate(loop_state.state))
        return loop_state

    return Hook(every, call), over


def monitor(
    rule: EarlyStoppingRule | None, before: Iterable[Evaluation], prefix: str = PREFIX
) -> tuple[Callable[[Mapping[str, Any]], None], Callable[[], bool]]:
    """Monitor of a rule over the evaluations of a run.

    Args:
      rule: The rule; None never stops.
      before: Evaluations that the run has behind it.
      prefix: Of names in errors.

    Returns:
      ``update(values)``, to be called with each evaluation; and ``over()``, which is
      true once every seed has run out of patience.
    """
    current: list[Patience] = []

    def note(value: Any) -> None:
        if rule is not None:
            current[:] = [update_patience(rule, current[0] if current else None, value)]

    for _, value in before:
        note(value)

    def update(values: Mapping[str, Any]) -> None:
        if rule is not None:
            check_metric(rule, values, prefix)
            note(values[rule.metric])

    def over() -> bool:
        return bool(current and current[0].over.all())

    return update, over
