"""Evaluation of functions of embeddings, such as probes and clusters."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fdl.errors import UserError, near
from fdl.evaluation.predict import predict
from fdl.types import Ability, Evaluate, Variables

# ``measure(train, train_labels, embeddings, labels)``: a number, numbers by name, or
# one of each held-out example, whose mean is taken.
Measure = Callable[[Any, Any, Any, Any], Any]


def on_embeddings(
    ability: Ability,
    train: Mapping[str, np.ndarray],
    held_out: Mapping[str, np.ndarray],
    measures: Mapping[str, Measure],
    *,
    labels: str = "label",
    output: str = "embedding",
) -> Evaluate:
    """Evaluation of functions of the embeddings of a training and a held-out part.

    Args:
      ability: Ability that embeds examples, such as that of `embedder`.
      train: Training examples, encoded arrays [N, ...] by name, with their labels.
      held_out: Validation or test examples, [M, ...] by name.
      measures: By name, ``measure(train, train_labels, embeddings, labels)`` of
        embeddings [N, D] and [M, D], such as `linear_probe`, `knn_probe` and
        ``partial(k_means_scores, num_clusters=10)``.
      labels: Name of the labels.
      output: Name of the ability's output.

    Returns:
      ``evaluate(variables)``, to floats by name; those of a measure that returns
      several are called ``name_part``.

    Raises:
      UserError: There are no such labels or inputs; when it is evaluated: there is no
        such output.
    """
    for part in (train, held_out):
        for name in (labels, *ability.inputs.inputs):
            if name not in part:
                raise UserError(f"there is no {name!r} in the data. {near(name, part)}")

    def embeddings(variables: Variables, part: Mapping[str, np.ndarray]) -> np.ndarray:
        inputs = {name: part[name] for name in ability.inputs.inputs}
        found = predict(ability, variables, inputs, batch_size=1024)
        if output not in found:
            raise UserError(f"output={output!r}: {near(output, found)}")
        return found[output].reshape(len(found[output]), -1)

    def evaluate(variables: Variables) -> Mapping[str, float]:
        arrays = (
            embeddings(variables, train),
            train[labels],
            embeddings(variables, held_out),
            held_out[labels],
        )
        values = {}
        for name, measure in measures.items():
            result = measure(*arrays)
            parts = result if isinstance(result, Mapping) else {"": result}
            for part, value in parts.items():
                values[f"{name}_{part}" if part else name] = float(np.mean(value))
        return values

    return evaluate


def together(*evaluations: Evaluate) -> Evaluate:
    """Evaluation with the metrics of several.

    Args:
      *evaluations: Functions of the variables to floats by name; of equal names, the
        last one counts.

    Example:
      >>> together(lambda _: {"loss": 1.0}, lambda _: {"nmi": 0.5})({})
      {'loss': 1.0, 'nmi': 0.5}
    """

    def evaluate(variables: Variables) -> Mapping[str, float]:
        parts = (evaluate(variables) for evaluate in evaluations)
        return functools.reduce(lambda all_, part: {**all_, **part}, parts, {})

    return evaluate
