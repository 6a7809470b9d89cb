"""How well a model does on data that it has not learnt from."""

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
    """Measures an objective's metrics on one epoch, each example counted once.

    Where the optimizer keeps an average of the weights, it is that which is measured;
    see `optim.averaged`.

    Args:
      objective: What says the metrics; it is asked with ``train=False``.
      batches: Of the test data: not shuffled, and with the last, incomplete batch.

    Returns:
      ``evaluate(state)``.

    Raises:
      UserError: The batches have no epochs.
    """
    if not batches.steps_per_epoch:
        raise UserError("on_dataset needs batches with epochs, made of a finite source")

    @jax.jit
    def measure(variables, data, item):
        _, (_, metrics) = objective(variables, batches.take(data, item))
        return metrics

    placed: list[
        PyTree
    ] = []  # The data goes to the device once, and only if it is asked for.

    def evaluate(state: TrainState) -> Mapping[str, float]:
        if not placed:
            placed.append(jax.device_put(batches.data))
        items = islice(batches.stream(0), batches.steps_per_epoch)
        variables = optim.averaged(state).variables
        parts = [measure(variables, placed[0], item) for item in items]
        sums = jax.tree.map(lambda *x: jnp.stack(x).sum(axis=0), *parts)
        return {name: float(metric.compute()) for name, metric in sums.items()}

    return evaluate
