"""Predictions and targets of all test examples."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.types import Array, Predictor, State

# ``keep(targets, predictions) -> indices`` of the examples whose inputs are kept.
Keep = Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray]


class EvaluatedExamples(NamedTuple):
    """Predictions and targets of the test set, in its order.

    Attributes:
      targets: Labels, int [N], or regression targets, float [N] or [N, K].
      predictions: Outputs of the predictor by name, each [N, ...].
      indices: Indices of the examples whose inputs are kept, int [M].
      inputs: Inputs of those examples, [M, ...].
    """

    targets: np.ndarray
    predictions: Mapping[str, np.ndarray]
    indices: np.ndarray
    inputs: np.ndarray


def evaluate_examples(
    predictor: Predictor, state: State, keep: Keep
) -> EvaluatedExamples | None:
    """Predicts all test examples in one pass, and keeps the inputs of a few.

    Args:
      predictor: Predictor, with the batches of the test set.
      state: State of the trained learner.
      keep: ``keep(targets, predictions) -> indices``, called with each batch: indices
        of the examples in it whose inputs to keep.

    Returns:
      Predictions and targets; None if a batch has no array that can be the target.

    Raises:
      UserError: The test batches have no epochs.
    """
    if not predictor.test.steps_per_epoch:
        raise UserError(
            f"test.steps_per_epoch={predictor.test.steps_per_epoch}: expected batches "
            "of a finite source, which have epochs"
        )
    parts: list[EvaluatedExamples] = []
    count = 0
    for predictions, batch in _predict_batches(predictor, state):
        # A mask of zero marks padding of the last batch.
        mask = batch.get("mask", _ones(predictions))
        rows = np.flatnonzero(np.asarray(mask) > 0)
        predictions = {name: value[rows] for name, value in predictions.items()}
        name = target_name(batch, predictions, predictor.inputs)
        if name is None:
            return None
        targets = np.asarray(batch[name])[rows]
        kept = np.asarray(keep(targets, predictions), int)
        # Other inputs stay on the device: all of them may not fit into host memory.
        inputs = np.asarray(batch[predictor.inputs][rows[kept]])
        parts.append(EvaluatedExamples(targets, predictions, kept + count, inputs))
        count += len(rows)
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)


def target_name(
    batch: Mapping[str, Array], predictions: Mapping[str, np.ndarray], inputs: str
) -> str | None:
    """Name of the target in a batch: labels of a classifier, targets of a regressor.

    Args:
      batch: Arrays [B, ...] by name.
      predictions: Outputs of the predictor by name, each [B, ...].
      inputs: Name of the inputs.

    Returns:
      Name of the only array of integers (labels) or floats (targets) that has the
      shape of the predictions; of several, that called ``label`` or ``target``; else
      None.
    """
    usual, integer = ("label", True) if "class" in predictions else ("target", False)
    like = predictions.get("class", predictions.get("prediction"))
    candidates = [
        name
        for name, array in batch.items()
        if like is not None
        and name not in (inputs, "mask")
        and jnp.shape(array)[1:] == like.shape[1:]
        and jnp.issubdtype(jnp.result_type(array), jnp.integer) == integer
    ]
    if usual in candidates:
        return usual
    return candidates[0] if len(candidates) == 1 else None


def batch_shapes(predictor: Predictor) -> Any:
    """Shapes and dtypes of a test batch."""
    test = predictor.test
    return jax.eval_shape(test.take, test.data, next(test.stream(0)))


def _predict_batches(predictor: Predictor, state: State) -> Iterator[tuple[dict, dict]]:
    """Predictions on the host, and the batch on the device, of each test batch."""
    test = predictor.test

    # The batch is made on the device in the same call: it need not cross the host.
    @jax.jit
    def predict(state, data, item):
        batch = test.take(data, item)
        return predictor.predict(state, batch), batch

    data = jax.device_put(test.data)
    for item in islice(test.stream(0), test.steps_per_epoch):
        predictions, batch = predict(state, data, item)
        yield jax.device_get(dict(predictions)), dict(batch)


def _ones(predictions: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.ones(len(next(iter(predictions.values()))))
