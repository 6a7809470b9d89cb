"""Hooks of the training loop."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.train.loop_state import LoopState, check_finite
from fdl.types import Array, Metrics


class Hook(NamedTuple):
    """Callback of the training loop, on the host.

    Attributes:
      every: Period in steps; it is also called after the last step. Zero for after the
        last step only.
      call: ``call(step, carry) -> carry``, or None to keep the carry. It is donated to
        the next step, so that a hook has to copy any array of it that it keeps.
    """

    every: int
    call: Callable[[int, LoopState], LoopState | None]


def read_metrics(
    write: Callable[[int, Mapping[str, Any]], None],
) -> tuple[Callable[[int, LoopState], LoopState], Callable[[], None]]:
    """Hook function that reads the metrics since its last call, one call late.

    The host does not wait for the device, since it reads metrics of the period before.

    Args:
      write: ``write(step, values)`` with the metrics as float arrays [], or [S] for
        several seeds. Metrics without any observation, such as the return before an
        episode has ended, are left out.

    Returns:
      The ``call`` of a hook, and a function that writes the pending metrics. Both raise
      `NonFiniteError` if a metric was not finite.
    """
    pending: list[tuple[int, Metrics, Mapping[str, Array]]] = []

    def flush() -> None:
        while pending:
            step, metrics, first_nonfinite = pending.pop(0)
            check_finite(first_nonfinite)
            values = {n: np.asarray(m.compute()) for n, m in metrics.items()}
            # A mean of no observations is NaN. NaN of any other kind has raised above.
            write(step, {n: v for n, v in values.items() if not np.isnan(v).all()})

    def hook(step: int, carry: LoopState) -> LoopState:
        flush()
        # The metrics leave the carry, and so need no copy; what stays in it would be
        # overwritten by the next step, to which the carry is donated.
        pending.append(
            (step, carry.metrics, jax.tree.map(jnp.copy, carry.first_nonfinite))
        )
        return carry._replace(metrics=jax.tree.map(jnp.zeros_like, carry.metrics))

    return hook, flush
