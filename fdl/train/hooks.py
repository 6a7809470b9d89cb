"""Hooks of the training loop: periodic work of the host."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.train.loop_state import LoopState, check_finite
from fdl.types import Array, Metrics


class Hook(NamedTuple):
    """What the host does at multiples of a period, and after the last step.

    Attributes:
      every: The period in steps; zero for after the last step only.
      call: ``call(step, carry) -> carry``. The carry is donated to the next step, so
        a hook copies what it keeps.
    """

    every: int
    call: Callable[[int, LoopState], LoopState]


def read_metrics(
    write: Callable[[int, Mapping[str, Any]], None],
) -> tuple[Callable[[int, LoopState], LoopState], Callable[[], None]]:
    """A hook that reads the metrics since its last call, one call late.

    The host never waits for the device: it reads what was computed a period ago.

    Args:
      write: Takes a step and its metrics as floats, or arrays [S] of several seeds.
        Metrics that have seen nothing (an episode's return before one has ended) are
        left out.

    Returns:
      The hook, and a function that reads what is pending. Both raise `NonFiniteError`
      if a metric was not finite.
    """
    pending: list[tuple[int, Metrics, Mapping[str, Array]]] = []

    def flush() -> None:
        while pending:
            step, metrics, first_nonfinite = pending.pop(0)
            check_finite(first_nonfinite)
            values = {n: np.asarray(m.compute()) for n, m in metrics.items()}
            write(step, {n: v for n, v in values.items() if not np.isnan(v).all()})

    def hook(step: int, carry: LoopState) -> LoopState:
        flush()
        pending.append(
            (step, carry.metrics, jax.tree.map(jnp.copy, carry.first_nonfinite))
        )
        return carry._replace(metrics=jax.tree.map(jnp.zeros_like, carry.metrics))

    return hook, flush
