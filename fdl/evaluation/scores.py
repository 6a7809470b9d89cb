"""Metrics of each test example."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data.batches import keyed_items
from fdl.evaluation.dataset import check_epochs
from fdl.learners.step_outputs import objective_outputs
from fdl.metrics.exact_counts import modulo
from fdl.types import Array, Batch, Examples, Metric, PyTree, Variables


class ExampleScores(NamedTuple):
    """Scores of a metric on each test example.

    Attributes:
      sums: Sums of the metric, one row for each example, float32 [N, K].
      to_metric: Function that makes a metric of sums [K], those of one example or the
        total of several.
    """

    sums: np.ndarray
    to_metric: Callable[[Array], Metric]

    @property
    def values(self) -> np.ndarray:
        """Value of the metric on each example alone, float32 [N]."""
        compute = jax.vmap(lambda row: self.to_metric(row).compute())
        return np.asarray(compute(self.sums))


def score_examples(
    examples: Examples, variables: Variables
) -> dict[str, ExampleScores]:
    """Scores of each metric of the objective on each test example.

    Each example is evaluated in a batch of its own: this suits objectives that are
    means over examples, but no contrastive ones, which compare examples of a batch.

    Args:
      examples: Examples, with the objective that scores them.
      variables: Variables of the trained model.

    Returns:
      Scores by the name of the metric, with examples in the order of the data.

    Raises:
      UserError: The batches have no epochs.
    """
    batches = examples.batches
    check_epochs(batches)

    @jax.jit
    def measure(variables, data, item, key):
        batch = dict(examples.preprocess(batches.take(data, item)))
        # Without the mask padding is evaluated as well, and dropped afterwards.
        mask = batch.pop("mask", None)

        def metrics_of(example: Batch, key: Array) -> Any:
            batch_of_one = jax.tree.map(lambda x: x[None], example)
            return objective_outputs(examples.objective(variables, batch_of_one, key))[
                2
            ]

        keys = jax.random.split(key, len(jax.tree.leaves(batch)[0]))
        return jax.vmap(metrics_of)(batch, keys), mask

    parts = list(_measure_batches(measure, variables, batches))
    metrics = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    return {name: _scores(metric) for name, metric in metrics.items()}


def _measure_batches(measure, variables, batches) -> Iterator[PyTree]:
    """Metrics of each batch, with a leading axis of examples, without padding."""
    data = jax.device_put(batches.data)
    for item, key in keyed_items(batches):
        metrics, mask = jax.device_get(measure(variables, data, item, key))
        if mask is not None:
            metrics = jax.tree.map(lambda x, mask=mask: x[mask > 0], metrics)
        yield metrics


def _scores(metric: PyTree) -> ExampleScores:
    """Scores of a metric whose leaves have a leading axis of examples."""
    leaves, structure = jax.tree.flatten(metric)
    shapes = [leaf.shape[1:] for leaf in leaves]
    sizes = [int(np.prod(shape)) for shape in shapes]
    ends = np.cumsum(sizes)

    # Undoes the concatenation below; counts become integers again, which may wrap.
    def to_metric(row: Array) -> Metric:
        parts = [
            jnp.asarray(row[end - size : end]).reshape(shape)
            for end, size, shape in zip(ends, sizes, shapes, strict=True)
        ]
        integral = [np.issubdtype(leaf.dtype, np.integer) for leaf in leaves]
        parts = [modulo(x) if i else x for x, i in zip(parts, integral, strict=True)]
        return jax.tree.unflatten(structure, parts)

    rows = [np.reshape(leaf, (len(leaf), -1)) for leaf in leaves]
    return ExampleScores(np.concatenate(rows, axis=1).astype(np.float32), to_metric)
