"""Which pictures suit what a model answers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CLASSES = 100  # With more, curves of each class take minutes, and show nothing.

Named = tuple[str, "Figure"]


def figures(predictor: Any, state: Any, title: str) -> Iterator[Named]:
    """All pictures of a model that its data allows, by name; the test is asked once.

    Args:
      predictor: How to ask it.
      state: What was learnt, by one seed.
      title: What it is, and at which step.
    """
    from fdl import pictures, tools

    batch = tools.first_batch(predictor)
    inputs = batch[predictor.inputs]

    def keep(truth: np.ndarray, answers: Any) -> np.ndarray:
        if inputs.ndim == 2:  # Rows of a table are few numbers, and say what is usual.
            return np.arange(len(truth))
        if "probability" in answers and inputs.ndim == 4:
            return pictures.worst(truth, answers["probability"])
        return np.arange(0)

    found = tools.tested(predictor, state, keep)
    if found is not None and "probability" in found.answers:
        yield from _of_classes(predictor, found, title)
    elif found is not None and "prediction" in found.answers:
        yield from _of_numbers(found, title)
    yield from _of_weights(predictor, state, batch, title)


def _of_classes(predictor: Any, found: Any, title: str) -> Iterator[Named]:
    from fdl import pictures

    truth, classes = found.truth, predictor.classes
    probability, chosen = found.answers["probability"], found.answers["class"]
    matrix = pictures.confusion_matrix(truth, chosen, classes, title=title)
    yield "confusion_matrix", matrix
    yield "reliability", pictures.reliability(truth, probability, title=title)
    if probability.shape[1] <= MOST_CLASSES:
        yield "roc", pictures.roc(truth, probability, classes, title=title)
        curve = pictures.precision_recall(truth, probability, classes, title=title)
        yield "precision_recall", curve
    if found.inputs.ndim not in (2, 4) or found.inputs.dtype.kind not in "fiu":
        return
    worst = pictures.worst(truth, probability)
    wrong = int(((chosen != truth) & (truth >= 0)).sum())
    size = int((truth >= 0).sum())
    shown = f"the {len(worst)} most confident" if len(worst) < wrong else "all"
    kept = found.places
    yield (
        "mistakes",
        pictures.mistakes(
            found.inputs,
            truth[kept],
            probability[kept],
            classes,
            columns=predictor.columns,
            title=f"{title}: {shown} of {wrong} mistakes in {size} examples",
        ),
    )


def _of_numbers(found: Any, title: str) -> Iterator[Named]:
    from fdl import pictures

    pair = found.truth, found.answers["prediction"]
    yield "predictions", pictures.predictions(*pair, title=title)
    yield "residuals", pictures.residuals(*pair, title=title)


def _of_weights(predictor: Any, state: Any, batch: Any, title: str) -> Iterator[Named]:
    """The first layer that is called, if it looks at an image or at a table."""
    from fdl import pictures
    from fdl.layers import called
    from fdl.optim import averaged

    inputs = batch[predictor.inputs]
    paths = called(predictor.predict, state, batch)
    owners = (_at(averaged(state).params, path) for path in paths)
    kernels = (owner["kernel"] for owner in owners if "kernel" in owner)
    kernel = next(kernels, None)
    if kernel is None or inputs.dtype.kind not in "fiu":
        return
    shape, title = inputs.shape[1:], f"{title}: first layer"
    if len(shape) == 3 and kernel.ndim == 4 and kernel.shape[2] == shape[2]:
        yield "filters", pictures.filters(kernel, title=title)
    elif len(shape) == 3 and kernel.ndim == 2 and len(kernel) == np.prod(shape):
        yield "filters", pictures.filters(kernel, shape, title=title)
    elif len(shape) == 1 and kernel.ndim == 2 and len(kernel) == shape[0]:
        yield "filters", pictures.weights(kernel, predictor.columns, title=title)


def _at(params: Any, path: str) -> Any:
    for part in path.split("/") if path else ():
        params = params[part]
    return params
