"""States, variables and metrics of several learners that are trained as one."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax

from fdl.errors import UserError, near
from fdl.learners.step_outputs import with_prefix
from fdl.trees import select_variables
from fdl.types import Evaluate, State, Variables

T = TypeVar("T")
# Learners by name, or numbered: seeds and folds, say.
Members = Mapping[str, T] | Sequence[T]


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["groups"], meta_fields=["names"]
)
@dataclasses.dataclass(frozen=True)
class Replicas:
    """State of several learners; see `replicate`.

    Attributes:
      groups: State of each group of learners. That of a single learner is its own; of R
        learners that share a program, states are stacked, [R, ...].
      names: Names of the learners of each group, in the order of the stack. They belong
        to the structure of the tree.
    """

    groups: tuple[State, ...]
    names: tuple[tuple[str, ...], ...]


def select(state: Replicas, name: str | int) -> State:
    """State of one of several learners.

    Args:
      state: State of a learner made by `replicate`.
      name: Name of the learner, or its number.

    Raises:
      UserError: There is no learner of this name.
    """
    name = str(name)
    for names, group in zip(state.names, state.groups, strict=True):
        if name in names:
            return group if len(names) == 1 else _row(group, names.index(name))
    known = [name for names in state.names for name in names]
    raise UserError(f"there is no learner {name!r}. {near(name, known)}")


# Jitted: one call for all arrays, and one compilation for all indices.
@jax.jit
def _row(tree, index):
    return jax.tree.map(lambda x: x[index], tree)


def join_metrics(
    members: Members[Mapping[str, Any]], stack: Callable[[list], Any]
) -> dict[str, Any]:
    """Metrics of several learners as one mapping.

    Args:
      members: Metrics of each learner: by its name, for metrics called ``name/metric``;
        or as a sequence, for one value of each metric, stacked in this order.
      stack: Function that stacks the values of a metric, such as ``list``.

    Example:
      >>> join_metrics({"a": {"loss": 1.0}, "b": {"loss": 2.0}}, list)
      {'a/loss': 1.0, 'b/loss': 2.0}
      >>> join_metrics([{"loss": 1.0}, {"loss": 2.0}], list)
      {'loss': [1.0, 2.0]}
    """
    if isinstance(members, Mapping):
        parts = [with_prefix(name, metrics) for name, metrics in members.items()]
        return {name: value for part in parts for name, value in part.items()}
    return {name: stack([part[name] for part in members]) for name in members[0]}


def evaluate_each(evaluations: Members[Evaluate]) -> Callable[[Variables], dict]:
    """Evaluation of several learners, each by a function of its own.

    Args:
      evaluations: ``evaluate(variables)`` of each learner made by `replicate`: by name,
        or as a sequence.

    Returns:
      ``evaluate(variables)``, whose metrics are called ``name/metric``, or are lists in
      the order of the sequence. It raises a `UserError` if a name is not that of a
      learner.

    Raises:
      UserError: There are no evaluations, or a name is empty or has a slash.
    """
    functions = by_name("evaluations", evaluations)

    def evaluate(variables: Variables) -> dict[str, Any]:
        results = {
            name: function(select_variables(variables, name))
            for name, function in functions.items()
        }
        return join_metrics(like(evaluations, results), list)

    return evaluate


def by_name(argument: str, members: Members[T]) -> dict[str, T]:
    """Members by name; those of a sequence are called "0", "1", ….

    Raises:
      UserError: There are none, or a name is unfit for metrics.
    """
    if not members:
        raise UserError(f"{argument}={members!r}: expected at least one learner")
    if not isinstance(members, Mapping):
        return {str(i): member for i, member in enumerate(members)}
    for name in members:
        # A metric `a/b/loss` could not be told from `b/loss` of a learner `a`.
        if not name or "/" in name:
            raise UserError(f"learner {name!r}: expected a name without '/'")
    return dict(members)


def like(members: Members[Any], values: Mapping[str, T]) -> Members[T]:
    """Values by name as a mapping or a sequence, as the members are."""
    return values if isinstance(members, Mapping) else list(values.values())
