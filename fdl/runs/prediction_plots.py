"""Plots of a model's predictions on the test set, as far as its data allows."""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from fdl import evaluation, plots
from fdl.diagnostics.layer_stats import called_modules
from fdl.evaluation import EvaluatedExamples
from fdl.types import Ability, Examples, Experiment, Params, Variables

MAX_CLASSES = 100  # Curves of more take minutes to draw, and cannot be told apart.

NamedFigure = tuple[str, Figure]


def figures(
    experiment: Experiment, variables: Variables, title: str
) -> Iterator[NamedFigure]:
    """Figures of a model by name; the test set is evaluated once for all of them.

    Args:
      experiment: Experiment with test examples and an ability ``predict``.
      variables: Variables of the trained model, of one seed.
      title: Title of all figures: experiment, seed and step.
    """
    ability, examples = experiment.abilities["predict"], experiment.examples
    assert examples is not None  # As `prediction_plots_of` has checked.
    batch = evaluation.batch_shapes(examples)
    inputs = batch[evaluation.only_input(ability.inputs)]

    def examples_to_keep(
        targets: np.ndarray, outputs: Mapping[str, np.ndarray]
    ) -> np.ndarray:
        # A table is small, and its mistakes are drawn among all other examples.
        if inputs.ndim == 2:
            return np.arange(len(targets))
        if "probability" in outputs and inputs.ndim == 4:
            return plots.worst(targets, outputs["probability"])
        return np.arange(0)

    found = evaluation.evaluate_examples(ability, variables, examples, examples_to_keep)
    if found is not None and "probability" in found.predictions:
        yield from _classification_figures(ability, found, title)
    elif found is not None and "prediction" in found.predictions:
        pair = found.targets, found.predictions["prediction"]
        yield "predictions", plots.predictions(*pair, title=title)
        yield "residuals", plots.residuals(*pair, title=title)
    yield from _filter_figures(ability, variables, examples, batch, title)


def _classification_figures(
    ability: Ability, examples: EvaluatedExamples, title: str
) -> Iterator[NamedFigure]:
    labels, classes = examples.targets, ability.outputs["probability"]
    probability = examples.predictions["probability"]
    chosen = examples.predictions["class"]
    matrix = plots.confusion_matrix(labels, chosen, classes, title=title)
    yield "confusion_matrix", matrix
    yield "reliability", plots.reliability(labels, probability, title=title)
    if probability.shape[1] <= MAX_CLASSES:
        yield "roc", plots.roc(labels, probability, classes, title=title)
        curve = plots.precision_recall(labels, probability, classes, title=title)
        yield "precision_recall", curve
    if examples.inputs.ndim not in (2, 4) or examples.inputs.dtype.kind not in "fiu":
        return
    # A negative label marks an example without a label, which is not counted.
    num_shown = len(plots.worst(labels, probability))
    num_wrong = int(((chosen != labels) & (labels >= 0)).sum())
    num_examples = int((labels >= 0).sum())
    part = f"the {num_shown} most confident" if num_shown < num_wrong else "all"
    # Only some examples are kept with their inputs; labels and answers are of all.
    kept = examples.indices
    yield (
        "mistakes",
        plots.mistakes(
            examples.inputs,
            labels[kept],
            probability[kept],
            classes,
            columns=ability.inputs.columns,
            title=f"{title}: {part} of {num_wrong} mistakes in {num_examples} examples",
        ),
    )


def _filter_figures(
    ability: Ability,
    variables: Variables,
    examples: Examples,
    batch: Mapping[str, Any],
    title: str,
) -> Iterator[NamedFigure]:
    """Weights of the first layer that is called, if it reads images or a table."""
    inputs = batch[evaluation.only_input(ability.inputs)]
    raw = examples.batches
    shapes = jax.eval_shape(raw.take, raw.data, next(raw.stream(0)))
    paths = called_modules(ability.function, variables, shapes, jax.random.key(0))
    modules = (_at(variables["params"], path) for path in paths)
    kernel = next((params["kernel"] for params in modules if "kernel" in params), None)
    if kernel is None or inputs.dtype.kind not in "fiu":
        return
    shape, title = inputs.shape[1:], f"{title}: first layer"
    if len(shape) == 3 and kernel.ndim == 4 and kernel.shape[2] == shape[2]:
        yield "filters", plots.filters(kernel, title=title)
    elif len(shape) == 3 and kernel.ndim == 2 and len(kernel) == np.prod(shape):
        yield "filters", plots.filters(kernel, shape, title=title)
    elif len(shape) == 1 and kernel.ndim == 2 and len(kernel) == shape[0]:
        yield "filters", plots.weights(kernel, ability.inputs.columns, title=title)


def _at(params: Params, path: str) -> Params:
    for part in path.split("/") if path else ():
        params = params[part]
    return params
