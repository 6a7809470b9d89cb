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

    Example:
      >>> autoencoding = Task(objectives.reconstruction)
    """

    objective: Callable[..., Objective]
    abilities: Mapping[str, Callable[[Model, Preprocessing], Ability]] = NOTHING


def classification(*, classes: Sequence[str] = (), **options: Any) -> Task:
    """Classification: cross-entropy and accuracy; predicts classes and probabilities.

    Args:
      classes: Names of the classes. Default: they are numbered.
      **options: Arguments of `objectives.classification`, such as ``metrics``.
    """
    predict = partial(evaluation.classifier, classes=classes)
    return Task(partial(objectives.classification, **options), {"predict": predict})


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
