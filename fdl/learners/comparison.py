"""Comparison of several learners on the same batches and from the same key."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.sharding import PartitionSpec

from fdl.errors import UserError, near
from fdl.types import Array, Batch, Key, Learner, Metrics, State


class ComparisonState(NamedTuple):
    """State of the learners of a comparison.

    Attributes:
      step: Number of steps that each of them has taken, int32 [].
      states: State of each learner, by its name.
    """

    step: Array
    states: Mapping[str, State]

    @property
    def params(self) -> dict[str, Any]:
        """Parameters of the learners that have any, by name."""
        params = {
            name: getattr(state, "params", {}) for name, state in self.states.items()
        }
        return {name: tree for name, tree in params.items() if tree}


def compare_learners(learners: Mapping[str, Learner]) -> Learner:
    """Comparison of several learners, as one learner that trains all of them.

    All learners begin with the same key and are given the same batch in each step, so
    that each has the results that it would have alone. If they need different inputs, a
    batch holds the inputs of all of them, and each objective takes its own.

    Args:
      learners: Learners of the comparison, by name.

    Returns:
      A learner on `ComparisonState`, whose metrics are named ``name/metric``.

    Raises:
      UserError: There are no learners, or a name is empty or has a slash.

    Example:
      >>> import fdl, jax
      >>> coins = fdl.monte_carlo(lambda key: {"x": fdl.types.Mean(jnp.ones(()), 2.0)})
      >>> learner = compare_learners({"left": coins, "right": coins})
      >>> state, metrics = learner.step(learner.init(jax.random.key(0)), None)
      >>> list(metrics), int(state.step)
      (['left/x', 'right/x'], 1)
    """
    _check_names("learners", learners)

    def init(key: Key) -> ComparisonState:
        states = {name: learner.init(key) for name, learner in learners.items()}
        return ComparisonState(jnp.zeros((), jnp.int32), states)

    def step(state: ComparisonState, batch: Batch) -> tuple[ComparisonState, Metrics]:
        states: dict[str, State] = {}
        metrics: dict[str, Any] = {}
        for name, learner in learners.items():
            states[name], values = learner.step(state.states[name], batch)
            metrics |= {f"{name}/{metric}": value for metric, value in values.items()}
        return ComparisonState(state.step + 1, states), metrics

    partitions = {name: learner.partition for name, learner in learners.items()}
    return Learner(init, step, ComparisonState(PartitionSpec(), partitions))  # type: ignore[arg-type]


def evaluate_each(
    evaluations: Mapping[str, Callable[[Any], Mapping[str, float]]],
) -> Callable[[ComparisonState], dict[str, float]]:
    """Evaluation of each learner of a comparison by a function of its own.

    Args:
      evaluations: ``evaluate(state)`` of each learner, by its name, in the order of the
        results.

    Returns:
      ``evaluate(state)``, whose metrics are named ``name/metric``. It raises a
      `UserError` if a name is not that of a learner.

    Raises:
      UserError: There are no evaluations, or a name is empty or has a slash.
    """
    _check_names("evaluations", evaluations)

    def evaluate(state: ComparisonState) -> dict[str, float]:
        values: dict[str, float] = {}
        for name, function in evaluations.items():
            if name not in state.states:
                raise UserError(
                    f"there is no learner {name!r} to evaluate. "
                    f"{near(name, state.states)}"
                )
            metrics = function(state.states[name])
            values |= {f"{name}/{metric}": value for metric, value in metrics.items()}
        return values

    return evaluate


def _check_names(argument: str, by_name: Mapping[str, Any]) -> None:
    """Raises a `UserError` for an empty mapping, and for names unfit for metrics."""
    if not by_name:
        raise UserError(f"{argument}={{}}: expected at least one learner to compare")
    for name in by_name:
        # A metric `a/b/loss` could not be told from `b/loss` of a learner `a`.
        if not name or "/" in name:
            raise UserError(f"learner {name!r}: expected a name without '/'")
