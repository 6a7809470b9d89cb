"""Prediction of new examples by a trained model."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError, near
from fdl.types import Array, Predictor, PyTree, State


def expected_input(predictor: Predictor) -> jax.ShapeDtypeStruct:
    """Shape and dtype of the input of one example, as in the test data.

    Raises:
      UserError: The test data has no array of the inputs' name.
    """
    data = predictor.test.data
    item = next(predictor.test.stream(0)) if data is None else data
    if predictor.inputs not in item:
        raise UserError(
            f"inputs={predictor.inputs!r}: expected the name of an array in the test "
            f"data. {near(predictor.inputs, item)}"
        )
    array = item[predictor.inputs]
    return jax.ShapeDtypeStruct(array.shape[1:], array.dtype)


def white_level(predictor: Predictor) -> float:
    """Value of a white pixel: the maximum in the test data.

    Raises:
      UserError: The test data has negative pixels, so that black is not zero, or it has
        zeros only.
    """
    data = predictor.test.data
    # A stream has no data on the device; its first batch stands for all.
    source = next(predictor.test.stream(0)) if data is None else data
    pixels = np.asarray(source[predictor.inputs])
    if pixels.min() < 0 or pixels.max() <= 0:
        raise UserError(
            f"{predictor.inputs!r} goes from {pixels.min():g} to {pixels.max():g} in "
            "the test data: expected pixels from zero, black, up to white; give an npz "
            "file instead of images"
        )
    return float(pixels.max())


def predict(
    predictor: Predictor, state: State, inputs: np.ndarray, batch_size: int = 256
) -> dict[str, np.ndarray]:
    """Predictions of a trained model for new examples.

    The inputs replace those of the test data, and so pass through the same
    transformations as a test batch, such as scaling and cropping.

    Args:
      predictor: Predictor, with the batches of the test set.
      state: State of the trained learner.
      inputs: Inputs [N, ...], as in the test data; N is at least 1.
      batch_size: Maximum number of examples in one call.

    Returns:
      Predictions by name, each [N, ...].

    Raises:
      UserError: The inputs have another shape than in the test data.
    """
    example = expected_input(predictor)
    if inputs.shape[1:] != example.shape or not len(inputs):
        raise UserError(
            f"{predictor.inputs!r} is {list(inputs.shape[1:])} in each of "
            f"{len(inputs)} examples: expected {list(example.shape)} in one or more"
        )
    inputs = inputs.astype(example.dtype)
    size = min(batch_size, len(inputs))
    take = predictor.test.take

    @jax.jit
    def predict_rows(state, rows):
        return predictor.predict(state, take(*_substitute(predictor, rows)))

    parts = []
    for start in range(0, len(inputs), size):
        # The last batch is padded by its last example to the size of the others, so
        # that the function is compiled once.
        index = np.minimum(np.arange(start, start + size), len(inputs) - 1)
        parts.append(jax.device_get(predict_rows(state, inputs[index])))
    return dict(jax.tree.map(lambda *x: np.concatenate(x)[: len(inputs)], *parts))


def _substitute(predictor: Predictor, rows: Array) -> tuple[PyTree, PyTree]:
    """Data and item of a batch of new inputs, with zeros for all other arrays."""
    data: Mapping[str, Any] | None = predictor.test.data
    index = np.arange(len(rows), dtype=np.int32)
    like = next(predictor.test.stream(0)) if data is None else data
    # Transformations may read labels, so all arrays have to be there.
    new = {
        name: jnp.zeros((len(rows), *array.shape[1:]), array.dtype)
        for name, array in like.items()
    }
    new[predictor.inputs] = rows
    # See `Batches`: of a stream the item is the batch itself; otherwise it is the index
    # of the examples in the data.
    if data is None:
        return None, new
    return new, {"index": index}
