"""Early stopping with patience on a metric of the evaluation."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fdl.errors import UserError, near
from fdl.train.hooks import Hook
from fdl.train.loop_state import LoopState
from fdl.train.metric_goal import parse_goal
from fdl.types import Learner, Variables

PREFIX = "config.early_stopping."  # Of names in errors, where a config holds the rule.
Evaluation = tuple[int, Any]  # A step, and a number, or one of each seed.


class EarlyStoppingRule(NamedTuple):
    """Early stopping rule.

    Attributes:
      metric: Name of a metric of the evaluation.
      sign: 1 to minimise the metric, -1 to maximise it.
      patience: Number of consecutive evaluations without improvement after which to
        stop.
      min_delta: Minimum change of the metric that counts as an improvement.
    """

    metric: str
    sign: int
    patience: int
    min_delta: float


class Patience(NamedTuple):
    """State of early stopping, arrays [S] with one element for each seed.

    Attributes:
      best: Best value so far times the sign of the rule, so that less is better.
      waited: Number of evaluations since the best.
      over: True once a seed has run out of patience; it stays so.
    """

    best: np.ndarray
    waited: np.ndarray
    over: np.ndarray


def make_rule(
    metric: str, patience: int = 5, min_delta: float = 0.0, prefix: str = ""
) -> EarlyStoppingRule:
    """Early stopping rule from "min METRIC" or "max METRIC".

    Args:
      metric: "min METRIC" or "max METRIC".
      patience: Number of evaluations, at least 1.
      min_delta: Minimum change that counts as an improvement, at least 0.
      prefix: Prefix of the names in errors.

    Raises:
      UserError: An argument is not valid.
    """
    sign, name = parse_goal(metric, f"{prefix}metric")
    # A bool is an int in Python.
    if not isinstance(patience, int) or isinstance(patience, bool) or patience < 1:
        raise UserError(f"{prefix}patience={patience!r}: expected at least 1")
    # NaN fails the comparison.
    if not isinstance(min_delta, int | float) or not 0 <= min_delta < float("inf"):
        raise UserError(f"{prefix}min_delta={min_delta!r}: expected at least 0")
    return EarlyStoppingRule(name, sign, patience, float(min_delta))


def update_patience(
    rule: EarlyStoppingRule, patience: Patience | None, value: Any
) -> Patience:
    """Patience after one more evaluation.

    A value is an improvement if it is better than the best by more than ``min_delta``.
    NaN never is.

    Args:
      rule: Early stopping rule.
      patience: State before the evaluation; None before the first one.
      value: Value of the metric, or one for each seed [S]; None stands for NaN.
    """
    values = rule.sign * np.atleast_1d(np.array(value, np.float64))
    if patience is None:
        best = np.full(values.shape, np.inf)
        patience = Patience(
            best, np.zeros(values.shape, int), np.zeros(values.shape, bool)
        )
    improved = values < patience.best - rule.min_delta
    waited = np.where(improved, 0, patience.waited + 1)
    return Patience(
        np.where(improved, values, patience.best),
        waited,
        patience.over | (waited >= rule.patience),
    )


def stop_step(
    rule: EarlyStoppingRule | None, evaluations: Iterable[Evaluation]
) -> int | None:
    """Step at which every seed has run out of patience; None if there is none.

    Args:
      rule: Early stopping rule; None never stops.
      evaluations: Steps and values of the metric, in order.

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
    """Step of the best evaluation, and its mean over seeds.

    NaN is the best only if all evaluations are NaN.
    """
    means = [(step, float(np.mean(np.array(x, np.float64)))) for step, x in evaluations]
    return min(means, key=lambda pair: (np.isnan(pair[1]), rule.sign * pair[1]))


def check_metric(
    rule: EarlyStoppingRule, values: Mapping[str, Any], prefix: str = PREFIX
) -> None:
    """Raises `UserError` if the metric is not among those of an evaluation."""
    if rule.metric not in values:
        raise UserError(
            f"{prefix}metric={rule.metric!r}: expected a metric of the evaluation. "
            f"{near(rule.metric, values)}"
        )


def early_stopping(
    learner: Learner,
    evaluate: Callable[[Variables], Mapping[str, Any]],
    metric: str,
    *,
    every: int,
    patience: int = 5,
    min_delta: float = 0.0,
) -> tuple[Hook, Callable[[], bool]]:
    """Early stopping for `run`: stops when a metric no longer improves.

    Args:
      learner: Learner that is trained.
      evaluate: ``evaluate(variables) -> metrics``, numbers by name, of the learner's
        variables; or arrays [S] with one for each seed.
      metric: "min METRIC" or "max METRIC".
      every: Number of steps between two evaluations.
      patience: Number of consecutive evaluations without improvement after which to
        stop; of several seeds, each has to run out of patience.
      min_delta: Minimum change of the metric that counts as an improvement.

    Returns:
      A hook, and a function to pass to `run` as ``stop``.

    Raises:
      UserError: A number is not valid; or, at the first evaluation, the metric is
        unknown.

    Example:
      >>> stopping = early_stopping(learner, evaluate, "min loss", every=10)
      ... # doctest: +SKIP
      >>> hook, stop = stopping  # doctest: +SKIP
      >>> run(..., hooks=[hook], stop=stop)  # doctest: +SKIP
    """
    if every < 1:
        raise UserError(f"every={every!r}: expected at least 1")
    rule = make_rule(metric, patience, min_delta)
    update, over = monitor(rule, (), prefix="")

    def call(step: int, loop_state: LoopState) -> None:
        update(evaluate(learner.variables(loop_state.state)))

    return Hook(every, call), over


def monitor(
    rule: EarlyStoppingRule | None, before: Iterable[Evaluation], prefix: str = PREFIX
) -> tuple[Callable[[Mapping[str, Any]], None], Callable[[], bool]]:
    """Monitor of an early stopping rule over the evaluations of a run.

    Args:
      rule: Early stopping rule; None never stops.
      before: Earlier evaluations of a resumed run.
      prefix: Prefix of the names in errors.

    Returns:
      ``update(values)``, to be called with the metrics of each evaluation; and
      ``over()``, true once every seed has run out of patience.
    """
    current: list[Patience] = []  # Of one element, which `observe` replaces.

    def observe(value: Any) -> None:
        if rule is not None:
            current[:] = [update_patience(rule, current[0] if current else None, value)]

    # A resumed run counts on from where it was, so that it stops at the same step.
    for _, value in before:
        observe(value)

    def update(values: Mapping[str, Any]) -> None:
        if rule is not None:
            check_metric(rule, values, prefix)
            observe(values[rule.metric])

    def over() -> bool:
        return bool(current and current[0].over.all())

    return update, over
