"""Asking a trained model: about new examples, and about each one of the test."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.types import Array, Predictor, PyTree, State


def expected_input(predictor: Predictor) -> jax.ShapeDtypeStruct:
    """Shape and dtype of an example, as the data of the test has it."""
    data = predictor.test.data
    item = next(predictor.test.stream(0)) if data is None else data
    if predictor.inputs not in item:
        raise UserError(f"there is no {predictor.inputs!r} in the data of the test")
    array = item[predictor.inputs]
    return jax.ShapeDtypeStruct(array.shape[1:], array.dtype)


def white_level(predictor: Predictor) -> float:
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


def predict(
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
    def answer(state, rows):
        return predictor.predict(state, take(*_in_place(predictor, rows)))

    parts = []
    for start in range(0, len(inputs), size):
        index = np.minimum(np.arange(start, start + size), len(inputs) - 1)
        parts.append(jax.device_get(answer(state, inputs[index])))
    found = jax.tree.map(lambda *x: np.concatenate(x)[: len(inputs)], *parts)
    return dict(found)


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
