"""What a trained model says of every example of its test, beside what is true."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.types import Array, Predictor, State

Keep = Callable[[np.ndarray, Mapping[str, np.ndarray]], np.ndarray]


class EvaluatedExamples(NamedTuple):
    """Answers and what is true, in the order of the test.

    Attributes:
      truth: Labels, int [N], or targets, float [N] or [N, K].
      answers: Of the predictor, each [N, ...], by name.
      places: Which examples were kept, int [M].
      inputs: What those were, [M, ...].
    """

    truth: np.ndarray
    answers: Mapping[str, np.ndarray]
    places: np.ndarray
    inputs: np.ndarray


def evaluate_examples(
    predictor: Predictor, state: State, keep: Keep
) -> EvaluatedExamples | None:
    """Asks about the whole test, once, and keeps a few of its examples.

    Args:
      predictor: How to ask.
      state: What was learnt.
      keep: ``keep(truth, answers)`` of a batch: which of its examples to keep.

    Returns:
      All answers; None if nothing in a batch of the test can be what is true.

    Raises:
      UserError: The test has no end.
    """
    if not predictor.test.steps_per_epoch:
        raise UserError("the batches of the test have no epochs: there is no end")
    parts: list[EvaluatedExamples] = []
    count = 0
    for answers, batch in _each(predictor, state):
        rows = np.flatnonzero(np.asarray(batch.get("mask", _all(answers))) > 0)
        answers = {name: value[rows] for name, value in answers.items()}
        name = target_name(batch, answers, predictor.inputs)
        if name is None:
            return None
        truth = np.asarray(batch[name])[rows]
        kept = np.asarray(keep(truth, answers), int)
        # All else stays on the device: the inputs may not fit in memory.
        inputs = np.asarray(batch[predictor.inputs][rows[kept]])
        parts.append(EvaluatedExamples(truth, answers, kept + count, inputs))
        count += len(rows)
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)


def target_name(
    batch: Mapping[str, Array], answers: Mapping[str, np.ndarray], inputs: str
) -> str | None:
    """The name of what is true in a batch: labels of classes, targets of numbers.

    Where several arrays may be it, one called ``label`` or ``target`` is.
    """
    usual, integer = ("label", True) if "class" in answers else ("target", False)
    like = answers.get("class", answers.get("prediction"))
    found = [
        name
        for name, array in batch.items()
        if like is not None
        and name not in (inputs, "mask")
        and jnp.shape(array)[1:] == like.shape[1:]
        and jnp.issubdtype(jnp.result_type(array), jnp.integer) == integer
    ]
    if usual in found:
        return usual
    return found[0] if len(found) == 1 else None


def batch_shapes(predictor: Predictor) -> Any:
    """Shapes and dtypes of a batch of the test."""
    test = predictor.test
    return jax.eval_shape(test.take, test.data, next(test.stream(0)))


def _each(predictor: Predictor, state: State) -> Iterator[tuple[dict, dict]]:
    test = predictor.test

    @jax.jit
    def ask(state, data, item):
        batch = test.take(data, item)
        return predictor.predict(state, batch), batch

    data = jax.device_put(test.data)
    for item in islice(test.stream(0), test.steps_per_epoch):
        answers, batch = ask(state, data, item)
        yield jax.device_get(dict(answers)), dict(batch)


def _all(answers: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.ones(len(next(iter(answers.values()))))
