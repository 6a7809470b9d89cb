"""Outputs of a training step: a state and metrics, scalars among them."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Batch, Mean, Metrics, State, Step


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
            f"metrics are a {type(values).__name__}: expected a mapping of names to "
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
        if not isinstance(outputs, tuple) or len(outputs) != 2:
            raise UserError(
                f"step returns a {type(outputs).__name__}: expected a pair, "
                "(state, metrics)"
            )
        return outputs[0], as_metrics(outputs[1])

    return checked_step


def with_prefix(name: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics that are called ``name/metric``.

    Example:
      >>> with_prefix("critic", {"loss": 1.0})
      {'critic/loss': 1.0}
    """
    return {f"{name}/{metric}": value for metric, value in metrics.items()}


def _as_metric(name: str, value: Any) -> Any:
    if callable(getattr(value, "compute", None)):
        return value
    if jnp.ndim(value) == 0:
        return Mean(jnp.asarray(value, jnp.float32), jnp.ones(()))
    raise UserError(
        f"metrics[{name!r}] has the shape {list(jnp.shape(value))}: expected a metric, "
        "such as fdl.Mean(total, weight), or a scalar"
    )
