"""Metrics of each example of the test set."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl import optim
from fdl.errors import UserError
from fdl.types import Array, Batch, Metric, Predictor, PyTree, TrainState


class ExampleScores(NamedTuple):
    """What a metric says of each example of the test.

    Attributes:
      sums: The sums of the metric, one row for each example, float32 [N, K].
      whole: Makes the metric of sums [K], those of one example or added up.
    """

    sums: np.ndarray
    whole: Callable[[Array], Metric]

    @property
    def values(self) -> np.ndarray:
        """What the metric says of each example alone, float32 [N]."""
        return np.asarray(jax.vmap(lambda row: self.whole(row).compute())(self.sums))


def score_examples(predictor: Predictor, state: TrainState) -> dict[str, ExampleScores]:
    """What each metric of the objective says of each example of the test.

    An example is asked about alone, in a batch of one: so this is for objectives that
    are means over examples, and not for those that hold them against each other.

    Args:
      predictor: How to ask.
      state: What was learnt; the averaged weights count, if there are such.

    Returns:
      ExampleScores by the name of the metric, in the order of the data.

    Raises:
      UserError: The test has no end.
    """
    test = predictor.test
    if not test.steps_per_epoch:
        raise UserError("the batches of the test have no epochs: there is no end")

    @jax.jit
    def measure(variables, data, item):
        batch = dict(test.take(data, item))
        mask = batch.pop("mask", None)

        def alone(example: Batch) -> Any:
            one = jax.tree.map(lambda x: x[None], example)
            return predictor.objective(variables, one)[1][1]

        return jax.vmap(alone)(batch), mask

    parts = list(_each(measure, optim.averaged(state), test))
    metrics = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    return {name: _scores(metric) for name, metric in metrics.items()}


def _each(measure, state, test) -> Iterator[PyTree]:
    data = jax.device_put(test.data)
    for item in islice(test.stream(0), test.steps_per_epoch):
        metrics, mask = jax.device_get(measure(state.variables, data, item))
        if mask is not None:
            metrics = jax.tree.map(lambda x, mask=mask: x[mask > 0], metrics)
        yield metrics


def _scores(metric: PyTree) -> ExampleScores:
    leaves, structure = jax.tree.flatten(metric)
    shapes = [leaf.shape[1:] for leaf in leaves]
    sizes = [int(np.prod(shape)) for shape in shapes]
    ends = np.cumsum(sizes)

    def whole(row: Array) -> Metric:
        parts = [
            jnp.asarray(row[end - size : end]).reshape(shape).astype(leaf.dtype)
            for end, size, shape, leaf in zip(ends, sizes, shapes, leaves, strict=True)
        ]
        return jax.tree.unflatten(structure, parts)

    rows = [np.reshape(leaf, (len(leaf), -1)) for leaf in leaves]
    return ExampleScores(np.concatenate(rows, axis=1).astype(np.float32), whole)
