"""Evaluation of an objective's metrics on a data set."""

from collections.abc import Callable, Mapping
from itertools import islice

import jax
import jax.numpy as jnp

from fdl import optim
from fdl.errors import UserError
from fdl.types import Batches, Objective, PyTree, TrainState


def on_dataset(
    objective: Objective, batches: Batches
) -> Callable[[TrainState], Mapping[str, float]]:
    """Evaluation of an objective's metrics over one epoch, each example counted once.

    If the optimizer keeps an average of the weights, the average is evaluated; see
    `optim.averaged`.

    Args:
      objective: Objective with the metrics; it is called with ``train=False``.
      batches: Batches of the test data, not shuffled, with the last, incomplete batch.

    Returns:
      ``evaluate(state)``, to floats by name.

    Raises:
      UserError: The batches have no epochs.
    """
    if not batches.steps_per_epoch:
        raise UserError(
            f"steps_per_epoch={batches.steps_per_epoch}: expected batches of a finite "
            "source, which have epochs"
        )

    @jax.jit
    def measure(variables, data, item):
        _, (_, metrics) = objective(variables, batches.take(data, item))
        return metrics

    # The data is transferred to the device once, and not before the first evaluation.
    device_data: list[PyTree] = []

    def evaluate(state: TrainState) -> Mapping[str, float]:
        if not device_data:
            device_data.append(jax.device_put(batches.data))
        items = islice(batches.stream(0), batches.steps_per_epoch)
        variables = optim.averaged(state).variables
        parts = [measure(variables, device_data[0], item) for item in items]
        # Metrics are sums: adding them weights batches by their number of examples.
        sums = jax.tree.map(lambda *x: jnp.stack(x).sum(axis=0), *parts)
        return {name: float(metric.compute()) for name, metric in sums.items()}

    return evaluate
