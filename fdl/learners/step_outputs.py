"""Outputs of objectives and training steps: metrics, scalars among them, and states."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.trees import named_leaves
from fdl.types import Array, Batch, Mean, Metrics, PyTree, State, Step


def as_metrics(values: Any) -> Metrics:
    """Metrics by name, in which scalars have become means of one observation.

    Raises:
      UserError: The values are no mapping, or one of them is neither a metric nor a
        scalar.

    Example:
      >>> as_metrics({"loss": 2.0})["loss"].compute()
      Array(2., dtype=float32)
    """
    if not isinstance(values, Mapping):
        raise UserError(
            f"metrics={_form(values)}: expected a mapping of names to "
            "metrics, such as fdl.Mean(total, weight), or to scalars"
        )
    return {name: _as_metric(name, value) for name, value in values.items()}


def checked(step: Step) -> Step:
    """Step whose outputs are checked, and whose metrics may be scalars.

    Args:
      step: ``step(state, batch) -> (state, metrics)``.

    Returns:
      The same step, with `as_metrics` of its metrics. It raises a `UserError` if the
      step returns anything but a pair.
    """

    def checked_step(state: State, batch: Batch) -> tuple[State, Metrics]:
        outputs: Any = step(state, batch)
        if not _is_pair(outputs):
            raise UserError(f"step returns {_form(outputs)}: expected (state, metrics)")
        return outputs[0], as_metrics(outputs[1])

    return checked_step


def objective_outputs(outputs: Any) -> tuple[Array, PyTree, Metrics]:
    """Loss, model state and metrics among the outputs of an objective, checked.

    Args:
      outputs: ``(loss, (model_state, metrics))``.

    Raises:
      UserError: They are in another form, the loss is no scalar, or the metrics are not
        as `as_metrics` takes them.
    """
    if not _is_pair(outputs) or not _is_pair(outputs[1]):
        raise UserError(
            f"objective returns {_form(outputs)}: expected (loss, (model_state, "
            "metrics)), where the model state is {} if there is none"
        )
    loss, (model_state, metrics) = outputs
    if not _is_number(loss) or jnp.ndim(loss):
        raise UserError(f"loss={_form(loss)}: expected a scalar, such as a mean")
    if not isinstance(model_state, Mapping):
        raise UserError(
            f"model_state={_form(model_state)}: expected collections "
            "by name, as model.apply returns them; {} if there are none"
        )
    return loss, model_state, as_metrics(metrics)


def check_arrays(state: State) -> None:
    """Checks that all leaves of an initial state are arrays or numbers.

    Raises:
      UserError: One is none.
    """
    for name, leaf in named_leaves(state).items():
        if not _is_number(leaf):
            raise UserError(
                f"init returns {_place(name)} of type {type(leaf).__name__}: expected "
                "an array"
            )


def check_same_form(before: State, after: State) -> None:
    """Checks that a step keeps structure, shapes and dtypes of the state.

    Args:
      before: Shapes and dtypes of the state before a step.
      after: Those after it.

    Raises:
      UserError: They differ.
    """
    old, new = (
        {name: _form(leaf) for name, leaf in named_leaves(state).items()}
        for state in (before, after)
    )
    for name in sorted({*old, *new}):
        was, becomes = (part.get(name, "nothing") for part in (old, new))
        if was != becomes:
            raise UserError(
                f"step returns {_place(name)} of {becomes}: expected {was}, as of init"
            )
    structures: list[Any] = [*map(jax.tree.structure, (before, after))]
    if structures[0] != structures[1]:
        raise UserError(
            f"step returns a state of another structure, {structures[1]}: expected "
            f"{structures[0]}, as of init"
        )


def with_prefix(name: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics that are called ``name/metric``.

    Example:
      >>> with_prefix("critic", {"loss": 1.0})
      {'critic/loss': 1.0}
    """
    return {f"{name}/{metric}": value for metric, value in metrics.items()}


def _as_metric(name: str, value: Any) -> Any:
    if callable(getattr(value, "compute", None)) and not isinstance(value, type):
        return value
    if _is_number(value) and jnp.ndim(value) == 0:
        return Mean(jnp.asarray(value, jnp.float32), jnp.ones(()))
    raise UserError(
        f"metrics[{name!r}]={_form(value)}: expected a metric, such as "
        "fdl.Mean(total, weight), or a scalar"
    )


def _is_pair(value: Any) -> bool:
    """True of a plain tuple of two: a named one is a state, or a metric."""
    return type(value) is tuple and len(value) == 2


def _is_number(value: Any) -> bool:
    return isinstance(value, (jax.Array, np.ndarray, np.generic, bool, int, float))


def _place(name: str) -> str:
    return f"state/{name}" if name else "a state"


def _form(value: Any) -> str:
    """Form of a value in a message, as ``(float32[2, 3], dict)``."""
    if type(value) is tuple:
        return f"({', '.join(map(_form, value))})"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    return type(value).__name__
