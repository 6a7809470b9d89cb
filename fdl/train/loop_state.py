"""State of the training loop."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import NonFiniteError
from fdl.types import Array, Metrics, State


class LoopState(NamedTuple):
    """Carry of the training loop, and content of a checkpoint.

    Attributes:
      step: Number of steps taken, int32 [].
      state: State of the learner.
      metrics: Metrics, merged over the steps since they were last read.
      first_nonfinite: First step at which each metric was not finite, int32 [] by name;
        0 if it always was finite.
    """

    step: Array
    state: State
    metrics: Metrics
    first_nonfinite: Mapping[str, Array]


def check_finite(first_nonfinite: Mapping[str, Array]) -> None:
    """Raises `NonFiniteError` with the first metric that was not finite."""
    steps = {name: int(step) for name, step in first_nonfinite.items() if int(step) > 0}
    if steps:
        # Of several metrics at the same step the loss is the most telling.
        name = min(steps, key=lambda name: (steps[name], name != "loss"))
        raise NonFiniteError(name, steps[name])


def merge_metrics(carry: LoopState, state: State, metrics: Metrics) -> LoopState:
    """Loop state after a step: metrics added, and the first non-finite step recorded.

    Args:
      carry: Loop state before the step.
      state: State of the learner after the step.
      metrics: Metrics of the step, as sums.
    """
    step = carry.step + 1

    def update_first(first, metric):
        # The sums are checked, not the value: that of a metric without any observation
        # is NaN, but its sums are zero.
        leaves = [jnp.isfinite(x).all() for x in jax.tree.leaves(metric)]
        is_finite = jnp.all(jnp.stack(leaves))
        return jnp.where((first == 0) & ~is_finite, step, first)

    first_nonfinite = {
        name: update_first(first, metrics[name])
        for name, first in carry.first_nonfinite.items()
    }
    return LoopState(
        step, state, jax.tree.map(jnp.add, carry.metrics, metrics), first_nonfinite
    )
