"""State of the training loop: what one step hands to the next."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import NonFiniteError
from fdl.types import Array, Metrics, State


class LoopState(NamedTuple):
    """All that one step hands to the next, and all that a checkpoint holds.

    Attributes:
      state: The learner's.
      metrics: Merged over the steps since they were last read.
      first_nonfinite: The first step at which a metric was not finite, int32 []; or 0.
    """

    state: State
    metrics: Metrics
    first_nonfinite: Mapping[str, Array]


def check_finite(first_nonfinite: Mapping[str, Array]) -> None:
    """Raises `NonFiniteError` with the first metric that was not finite."""
    bad = {name: int(step) for name, step in first_nonfinite.items() if int(step) > 0}
    if bad:
        name = min(bad, key=lambda name: (bad[name], name != "loss"))
        raise NonFiniteError(name, bad[name])


def merge_metrics(carry: LoopState, state: State, metrics: Metrics) -> LoopState:
    """Adds the metrics of a step, and notes whether it was the first bad one."""
    step = jnp.max(state.step).astype(jnp.int32)

    def first(earlier, metric):
        leaves = [jnp.isfinite(x).all() for x in jax.tree.leaves(metric)]
        good = jnp.all(jnp.stack(leaves))
        return jnp.where((earlier == 0) & ~good, step, earlier)

    first_nonfinite = {
        n: first(carry.first_nonfinite[n], metrics[n]) for n in carry.first_nonfinite
    }
    return LoopState(
        state, jax.tree.map(jnp.add, carry.metrics, metrics), first_nonfinite
    )
