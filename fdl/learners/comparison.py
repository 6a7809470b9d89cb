"""Comparison of several learners on the same batches and from the same key."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.sharding import PartitionSpec

from fdl.errors import UserError, near
from fdl.learners.step_outputs import checked, with_prefix
from fdl.types import (
    Array,
    Batch,
    Evaluate,
    Key,
    Learner,
    Metrics,
    State,
    Variables,
)


class ComparisonState(NamedTuple):
    """State of the learners of a comparison.

    Attributes:
      step: Number of steps that each of them has taken, int32 [].
      states: State of each learner, by its name.
    """

    step: Array
    states: Mapping[str, State]


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
            states[name], values = checked(learner.step)(state.states[name], batch)
            metrics |= with_prefix(name, values)
        return ComparisonState(state.step + 1, states), metrics

    def variables(state: ComparisonState) -> Variables:
        return side_by_side(
            {
                name: learner.variables(state.states[name])
                for name, learner in learners.items()
            }
        )

    partitions = {name: learner.partition for name, learner in learners.items()}
    partition: Any = ComparisonState(PartitionSpec(), partitions)  # type: ignore[arg-type]
    return Learner(init, step, variables, partition)


def evaluate_each(
    evaluations: Mapping[str, Evaluate],
) -> Evaluate:
    """Evaluation of each learner of a comparison by a function of its own.

    Args:
      evaluations: ``evaluate(variables)`` of each learner, by its name, in the order of
        the results.

    Returns:
      ``evaluate(variables)``, whose metrics are named ``name/metric``. It raises a
      `UserError` if a name is not that of a learner.

    Raises:
      UserError: There are no evaluations, or a name is empty or has a slash.
    """
    _check_names("evaluations", evaluations)

    def evaluate(variables: Variables) -> dict[str, float]:
        values: dict[str, float] = {}
        for name, function in evaluations.items():
            values |= with_prefix(name, function(select_variables(variables, name)))
        return values

    return evaluate


def side_by_side(members: Mapping[str, Variables]) -> Variables:
    """Variables of several learners as one: names lie below the collections.

    Example:
      >>> side_by_side({"a": {"params": 1}, "b": {"params": 2, "batch_stats": 3}})
      {'params': {'a': 1, 'b': 2}, 'batch_stats': {'b': 3}}
    """
    collections: dict[str, dict[str, Any]] = {}
    for name, variables in members.items():
        for collection, tree in variables.items():
            collections.setdefault(collection, {})[name] = tree
    return collections


def select_variables(variables: Variables, name: str) -> Variables:
    """Variables of one of several learners; the inverse of `side_by_side`.

    Raises:
      UserError: There is no learner of this name.

    Example:
      >>> select_variables({"params": {"a": 1, "b": 2}, "batch_stats": {"b": 3}}, "a")
      {'params': 1}
    """
    selected = {
        collection: tree[name] for collection, tree in variables.items() if name in tree
    }
    if not selected:
        known = {key for tree in variables.values() for key in tree}
        raise UserError(f"there is no learner {name!r}. {near(name, known)}")
    return selected


def _check_names(argument: str, by_name: Mapping[str, Any]) -> None:
    """Raises a `UserError` for an empty mapping, and for names unfit for metrics."""
    if not by_name:
        raise UserError(f"{argument}={{}}: expected at least one learner to compare")
    for name in by_name:
        # A metric `a/b/loss` could not be told from `b/loss` of a learner `a`.
        if not name or "/" in name:
            raise UserError(f"learner {name!r}: expected a name without '/'")
