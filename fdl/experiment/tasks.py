"""Tasks: the objective of a model, and what it can be asked for once it is trained."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fdl import evaluation, metrics, objectives
from fdl.data.preprocessing import Preprocessing
from fdl.data.statistics import mean_and_std
from fdl.errors import UserError, near
from fdl.types import NOTHING, Ability, Model, Objective


class Task(NamedTuple):
    """Task of a supervised experiment, made for any model.

    Attributes:
      objective: ``objective(model, inputs=name)``, the objective to evaluate and, by
        default, to train with; ``inputs`` is the name of the inputs in a batch.
      abilities: ``ability(model, preprocessing)`` by name, such as ``predict``.
      check: ``check(num_outputs, examples, name)``, a `UserError` if the model does not
        have the outputs for all examples of a part of the data; None for no check.
      check_inputs: ``check_inputs(inputs, name)``, a `UserError` if preprocessed inputs
        of a part of the data are not valid; None for no check. It is given the least
        and the greatest value of each number of an input, [2, ...].

    Example:
      >>> autoencoding = Task(objectives.reconstruction)
    """

    objective: Callable[..., Objective]
    abilities: Mapping[str, Callable[[Model, Preprocessing], Ability]] = NOTHING
    check: Callable[[int, Mapping[str, np.ndarray], str], None] | None = None
    check_inputs: Callable[[np.ndarray, str], None] | None = None


def classification(*, classes: Sequence[str] = (), **options: Any) -> Task:
    """Classification: cross-entropy and accuracy; predicts classes and probabilities.

    Args:
      classes: Names of the classes. Default: they are numbered.
      **options: Arguments of `objectives.classification`, such as ``metrics``.
    """
    predict = partial(evaluation.classifier, classes=classes)
    named = {key: options[key] for key in ("labels", "ignore") if key in options}
    check = partial(check_labels, **named)
    objective = partial(objectives.classification, **options)
    return Task(objective, {"predict": predict}, check)


def tagging(
    *,
    labels: str = "tags",
    ignore: int = -1,
    classes: Sequence[str] = (),
    pad_token: int | None = None,
    **options: Any,
) -> Task:
    """Tagging: classification of each token; predicts the tags of a text.

    The loss and the accuracy are means over tokens; exact match is the share of texts
    whose tags are all right.

    Args:
      labels: Name of the tags, int [N, T].
      ignore: Tag of padding.
      classes: Names of the tags. Default: they are numbered.
      pad_token: Token id of padding, for predictions. Default: none.
      **options: Further arguments of `objectives.classification`.
    """
    watched = {"accuracy": metrics.accuracy, "exact_match": metrics.exact_match}
    objective = partial(
        objectives.classification,
        **{"metrics": watched, **options},
        labels=labels,
        ignore=ignore,
    )
    predict = partial(evaluation.tagger, classes=classes, pad_token=pad_token)
    check = partial(check_labels, labels=labels, ignore=ignore)
    return Task(objective, {"predict": predict}, check)


def check_labels(
    num_outputs: int,
    examples: Mapping[str, np.ndarray],
    name: str,
    *,
    labels: str = "label",
    ignore: int | None = None,
) -> None:
    """Checks that a model has an output for each class index, outside of compilation.

    In a program it can only be seen that the loss becomes NaN.

    Args:
      num_outputs: Number of outputs C of the model.
      examples: Arrays by name. Nothing is checked beside a ``mask``, nor if the labels
        are distributions.
      name: Name of the examples, for the message.
      labels: Name of the labels, int [N, ...].
      ignore: Label that is ignored.

    Raises:
      UserError: A label is none of 0 to C - 1.

    Example:
      >>> check_labels(2, {"label": np.array([0, 1, 2])}, "train")
      Traceback (most recent call last):
      fdl.errors.UserError: train, row 3: label=2: expected 0 to 1, as the network has \
2 outputs
    """
    values = np.asarray(examples.get(labels, 0.0))
    if "mask" in examples or not np.issubdtype(values.dtype, np.integer):
        return
    wrong = (values < 0) | (values >= num_outputs)
    if ignore is not None:
        wrong &= values != ignore
    if wrong.any():
        place = tuple(np.argwhere(wrong)[0])
        row = f"row {place[0] + 1}" if place else "all"
        raise UserError(
            f"{name}, {row}: {labels}={values[place]}: expected 0 to "
            f"{num_outputs - 1}, as the network has {num_outputs} outputs"
        )


def regression(
    train: Mapping[str, np.ndarray], *, targets: str = "target", **options: Any
) -> Task:
    """Regression: squared error, mean absolute error and R²; predicts numbers.

    The model learns targets that are standardised by the training part; metrics and
    predictions are in their own units.

    Args:
      train: Training part, whose targets have the mean and the standard deviation.
      targets: Name of the targets, float [N] or [N, K].
      **options: Further arguments of `objectives.regression`, such as ``loss``.

    Raises:
      UserError: There are no such targets.

    Example:
      >>> task = regression({"target": np.array([1.0, 5.0])})
      >>> task.objective.keywords["mean"], task.objective.keywords["std"]
      (3.0, 2.0)
    """
    if targets not in train:
        raise UserError(
            f"targets={targets!r}: expected an array. {near(targets, train)}"
        )
    mean, std = map(float, mean_and_std(np.ravel(train[targets]).astype(np.float64)))
    defaults: dict[str, Any] = {
        "metrics": {
            "mae": metrics.mean_absolute_error,
            "r2": partial(metrics.r2, shift=mean),
        }
    }
    objective = partial(
        objectives.regression,
        **{**defaults, **options},
        targets=targets,
        mean=mean,
        std=std,
    )
    predict = partial(evaluation.regressor, mean=mean, std=std)
    return Task(objective, {"predict": predict})
