"""Asking a trained model: about new examples, and about each one of the test."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl import optim
from fdl.errors import UserError
from fdl.types import Array, Batch, Metric, Predictor, PyTree, State, TrainState


class Scores(NamedTuple):
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


def expected(predictor: Predictor) -> jax.ShapeDtypeStruct:
    """Shape and dtype of an example, as the data of the test has it."""
    data = predictor.test.data
    item = next(predictor.test.stream(0)) if data is None else data
    if predictor.inputs not in item:
        raise UserError(f"there is no {predictor.inputs!r} in the data of the test")
    array = item[predictor.inputs]
    return jax.ShapeDtypeStruct(array.shape[1:], array.dtype)


def white(predictor: Predictor) -> float:
    """The value of a white pixel: the largest in the data of the test.

    Raises:
      UserError: Black is not zero there.
    """
    data = predictor.test.data
    first = next(predictor.test.stream(0)) if data is None else data
    pixels = np.asarray(first[predictor.inputs])
    if pixels.min() < 0 or pixels.max() <= 0:
        raise UserError(
            f"{predictor.inputs!r} goes from {pixels.min():g} to {pixels.max():g} in "
            "the data: what is black there is not known. Give it an npz file"
        )
    return float(pixels.max())


def ask(
    predictor: Predictor, state: State, inputs: np.ndarray, batch_size: int = 256
) -> dict[str, np.ndarray]:
    """What a model says of new examples.

    They take the place of the data of the test, and so go the same way from there on:
    scaled, cropped, and whatever else is done to a batch of the test.

    Args:
      predictor: How to ask.
      state: What was learnt.
      inputs: [N, ...], as the data of the test has them.
      batch_size: How many at once.

    Returns:
      The answers, each [N, ...], by name.

    Raises:
      UserError: They have another shape.
    """
    example = expected(predictor)
    if inputs.shape[1:] != example.shape or not len(inputs):
        raise UserError(
            f"{predictor.inputs!r} is {list(inputs.shape[1:])} in each of "
            f"{len(inputs)} examples: expected {list(example.shape)} in one or more"
        )
    inputs = inputs.astype(example.dtype)
    size = min(batch_size, len(inputs))
    take = predictor.test.take

    @jax.jit
    def answer(state, rows):
        return predictor.predict(state, take(*_in_place(predictor, rows)))

    parts = []
    for start in range(0, len(inputs), size):
        index = np.minimum(np.arange(start, start + size), len(inputs) - 1)
        parts.append(jax.device_get(answer(state, inputs[index])))
    found = jax.tree.map(lambda *x: np.concatenate(x)[: len(inputs)], *parts)
    return dict(found)


def score(predictor: Predictor, state: TrainState) -> dict[str, Scores]:
    """What each metric of the objective says of each example of the test.

    An example is asked about alone, in a batch of one: so this is for objectives that
    are means over examples, and not for those that hold them against each other.

    Args:
      predictor: How to ask.
      state: What was learnt; the averaged weights count, if there are such.

    Returns:
      Scores by the name of the metric, in the order of the data.

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


def _scores(metric: PyTree) -> Scores:
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
    return Scores(np.concatenate(rows, axis=1).astype(np.float32), whole)


def _in_place(predictor: Predictor, rows: Array) -> tuple[PyTree, PyTree]:
    """Data and item of the test with new examples, and zeros for all else."""
    test: Mapping[str, Any] | None = predictor.test.data
    index = np.arange(len(rows), dtype=np.int32)
    first = next(predictor.test.stream(0))
    like = first if test is None else test
    new = {
        name: jnp.zeros((len(rows), *array.shape[1:]), array.dtype)
        for name, array in like.items()
    }
    new[predictor.inputs] = rows
    if test is None:
        return None, new
    return new, {"index": index}
