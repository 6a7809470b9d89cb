"""Learners side by side, which differ in nothing but what is compared."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.sharding import PartitionSpec

from fdl.errors import UserError, near
from fdl.types import Array, Batch, Key, Learner, Metrics, State


class ComparisonState(NamedTuple):
    """The state of learners side by side.

    Attributes:
      step: How many batches they have seen, int32 [].
      arms: The state of each.
    """

    step: Array
    arms: Mapping[str, State]

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of each arm that has some."""
        found = {name: getattr(arm, "params", {}) for name, arm in self.arms.items()}
        return {name: params for name, params in found.items() if params}


def compare_learners(learners: Mapping[str, Learner]) -> Learner:
    """Makes one learner of several, the arms of a comparison.

    All begin with the same key and see the same batch in each step: every arm learns,
    number for number, what it learns alone. Where arms need inputs of their own, a
    batch holds those of all of them, and each objective takes its own.

    Args:
      learners: By the name of the arm.

    Returns:
      A learner on `ComparisonState`; its metrics are called ``arm/metric``.

    Raises:
      UserError: There are no arms, or one has no proper name.

    Example:
      >>> import fdl, jax
      >>> coins = fdl.monte_carlo(lambda key: {"x": fdl.types.Mean(jnp.ones(()), 2.0)})
      >>> learner = compare_learners({"left": coins, "right": coins})
      >>> state, metrics = learner.step(learner.init(jax.random.key(0)), None)
      >>> list(metrics), int(state.step)
      (['left/x', 'right/x'], 1)
    """
    _check_names(learners)

    def init(key: Key) -> ComparisonState:
        states = {name: learner.init(key) for name, learner in learners.items()}
        return ComparisonState(jnp.zeros((), jnp.int32), states)

    def step(state: ComparisonState, batch: Batch) -> tuple[ComparisonState, Metrics]:
        states: dict[str, State] = {}
        metrics: dict[str, Any] = {}
        for name, learner in learners.items():
            states[name], found = learner.step(state.arms[name], batch)
            metrics |= {f"{name}/{metric}": value for metric, value in found.items()}
        return ComparisonState(state.step + 1, states), metrics

    partitions = {name: learner.partition for name, learner in learners.items()}
    return Learner(init, step, ComparisonState(PartitionSpec(), partitions))  # type: ignore[arg-type]


def evaluate_each(
    evaluations: Mapping[str, Callable[[Any], Mapping[str, float]]],
) -> Callable[[ComparisonState], dict[str, float]]:
    """Evaluates each arm of `compare_learners` by a function of its own.

    Args:
      evaluations: ``evaluate(state)`` of each arm, by its name; their order is that of
        the results.

    Returns:
      ``evaluate(state)``; its metrics are called ``arm/metric``.

    Raises:
      UserError: There are no arms, or one has no proper name; of the function that is
        returned, one is none of the learner's.
    """
    _check_names(evaluations)

    def evaluate(state: ComparisonState) -> dict[str, float]:
        values: dict[str, float] = {}
        for name, function in evaluations.items():
            if name not in state.arms:
                raise UserError(
                    f"there is no arm {name!r} to evaluate. {near(name, state.arms)}"
                )
            found = function(state.arms[name])
            values |= {f"{name}/{metric}": value for metric, value in found.items()}
        return values

    return evaluate


def _check_names(arms: Mapping[str, Any]) -> None:
    if not arms:
        raise UserError("there are no arms to put side by side")
    for name in arms:
        if not name or "/" in name:
            raise UserError(
                f"an arm is called {name!r}: expected a name without '/', which "
                "stands between it and its metrics"
            )
