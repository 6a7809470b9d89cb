"""Predictions and targets of labelled examples."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data.batches import keyed_items
from fdl.evaluation.dataset import check_epochs
from fdl.evaluation.predictors import only_input
from fdl.types import Ability, Array, Examples, Variables

# ``keep(targets, predictions) -> indices`` of the examples whose inputs are kept.
Keep = Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray]


class EvaluatedExamples(NamedTuple):
    """Predictions and targets of the test set, in its order.

    Attributes:
      targets: Labels, int [N], or regression targets, float [N] or [N, K].
      predictions: Outputs of the ability by name, each [N, ...].
      indices: Indices of the examples whose inputs are kept, int [M].
      inputs: Inputs of those examples, [M, ...].
    """

    targets: np.ndarray
    predictions: Mapping[str, np.ndarray]
    indices: np.ndarray
    inputs: np.ndarray


def evaluate_examples(
    ability: Ability, variables: Variables, examples: Examples, keep: Keep
) -> EvaluatedExamples | None:
    """Predicts all test examples in one pass, and keeps the inputs of a few.

    Args:
      ability: Ability ``predict`` of the model.
      variables: Variables of the trained model.
      examples: Examples to predict.
      keep: ``keep(targets, predictions) -> indices``, called with each batch: indices
        of the examples in it whose inputs to keep.

    Returns:
      Predictions and targets; None if a batch has no array that can be the target.

    Raises:
      UserError: The batches have no epochs.
    """
    check_epochs(examples.batches)
    input_name = only_input(ability.inputs)
    parts: list[EvaluatedExamples] = []
    count = 0
    for predictions, batch in _predict_batches(ability, variables, examples):
        # A mask of zero marks padding of the last batch.
        mask = batch.get("mask", _ones(predictions))
        rows = np.flatnonzero(np.asarray(mask) > 0)
        predictions = {name: value[rows] for name, value in predictions.items()}
        name = target_name(batch, predictions, input_name)
        if name is None:
            return None
        targets = np.asarray(batch[name])[rows]
        kept = np.asarray(keep(targets, predictions), int)
        # Other inputs stay on the device: all of them may not fit into host memory.
        inputs = np.asarray(batch[input_name][rows[kept]])
        parts.append(EvaluatedExamples(targets, predictions, kept + count, inputs))
        count += len(rows)
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)


def target_name(
    batch: Mapping[str, Array], predictions: Mapping[str, np.ndarray], inputs: str
) -> str | None:
    """Name of the target in a batch: labels of a classifier, targets of a regressor.

    Args:
      batch: Arrays [B, ...] by name.
      predictions: Outputs of the ability by name, each [B, ...].
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


def batch_shapes(examples: Examples) -> Any:
    """Shapes and dtypes of a preprocessed batch of examples."""
    batches = examples.batches

    def take(data, item):
        return examples.preprocess(batches.take(data, item))

    return jax.eval_shape(take, batches.data, next(batches.stream(0)))


def _predict_batches(
    ability: Ability, variables: Variables, examples: Examples
) -> Iterator[tuple[dict, dict]]:
    """Predictions on the host, and the preprocessed batch on the device."""
    batches = examples.batches

    # The batch is made on the device in the same call: it need not cross the host.
    @jax.jit
    def predict(variables, data, item, key):
        batch = batches.take(data, item)
        outputs = ability.function(variables, batch, key)
        return outputs, examples.preprocess(batch)

    data = jax.device_put(batches.data)
    for item, key in keyed_items(batches):
        predictions, batch = predict(variables, data, item, key)
        yield jax.device_get(dict(predictions)), dict(batch)


def _ones(predictions: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.ones(len(next(iter(predictions.values()))))
