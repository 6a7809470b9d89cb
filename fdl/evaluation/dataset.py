"""Evaluation of an objective's metrics on a dataset."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data.batches import keyed_items
from fdl.errors import UserError, check_parameters, check_type
from fdl.learners.step_outputs import objective_outputs
from fdl.types import Array, Batch, Batches, Evaluate, Objective, PyTree, Variables


def on_dataset(
    objective: Objective,
    batches: Batches,
    *,
    seed: int = 0,
    preprocess: Callable[[Batch], Batch] | None = None,
) -> Evaluate:
    """Evaluation of an objective's metrics over one epoch, each example counted once.

    The objective is given a key, a function of the seed and the batch: a sampled ELBO,
    a masked autoencoder or a contrastive loss has the same value each time. Where
    nothing is drawn, and examples do not depend on each other as in a contrastive loss,
    metrics do not depend on the batch size.

    Args:
      objective: Objective with the metrics; it is called with ``train=False``.
      batches: Batches of the data, not shuffled, with the last, incomplete batch.
      seed: Seed of the keys.
      preprocess: ``preprocess(batch) -> batch``, on the device. Default: none.

    Returns:
      ``evaluate(variables)``, to floats by name.

    Raises:
      UserError: The batches have no epochs.
    """
    check_parameters("objective", objective, "variables, batch, key, train=False")
    check_epochs(batches)

    @jax.jit
    def measure(variables, data, item, key):
        batch = batches.take(data, item)
        batch = batch if preprocess is None else preprocess(batch)
        return objective_outputs(objective(variables, batch, key, train=False))[2]

    # The data is transferred to the device once, and not before the first evaluation.
    @functools.cache
    def device_data() -> PyTree:
        return jax.device_put(batches.data)

    def evaluate(variables: Variables) -> Mapping[str, float]:
        check_type("variables", variables, Mapping, "learner.variables(state)")
        parts = [
            measure(variables, device_data(), item, key)
            for item, key in keyed_items(batches, seed)
        ]
        # Metrics are sums: adding them weights batches by their number of examples.
        sums = jax.tree.map(_total, *jax.device_get(parts))
        return {name: float(metric.compute()) for name, metric in sums.items()}

    return evaluate


def _total(*sums: np.ndarray) -> Array:
    """Sum over batches, rounded once: floats are added in float64; integers wrap."""
    dtype = sums[0].dtype
    wide = dtype if np.issubdtype(dtype, np.integer) else np.float64
    with np.errstate(over="ignore"):  # A sum beyond float32 is infinite.
        return jnp.asarray(np.sum(sums, axis=0, dtype=wide).astype(dtype))


def check_epochs(batches: Batches) -> None:
    """Raises `UserError` if batches have no epochs."""
    check_type("batches", batches, Batches, "fdl.data.batches(arrays, batch_size)")
    if not batches.steps_per_epoch:
        raise UserError(
            f"steps_per_epoch={batches.steps_per_epoch}: expected batches of a finite "
            "source, which have epochs"
        )
