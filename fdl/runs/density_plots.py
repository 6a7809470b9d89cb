"""Plots of a density model of points in the plane."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax
import numpy as np

from fdl import evaluation
from fdl.types import Experiment, Variables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESOLUTION = 200  # Points of the grid in each direction.


def figures(
    experiment: Experiment, variables: Variables, title: str
) -> Iterator[tuple[str, "Figure"]]:
    """Figures of a density by name: none unless its inputs are points in the plane.

    Args:
      experiment: Experiment with test examples and an ability ``log_density``; with
        ``sample``, as many samples are drawn beside the test examples.
      variables: Variables of the trained model, of one seed.
      title: Title of all figures: experiment, seed and step.
    """
    ability, examples = experiment.abilities["log_density"], experiment.examples
    name = evaluation.only_input(ability.inputs)
    spec = ability.inputs.inputs[name]
    if examples is None or spec.shape != (2,):
        return
    from fdl import plots  # Late: a training begins without matplotlib.

    batches = examples.batches
    batch = batches.take(jax.device_put(batches.data), next(batches.stream(0)))
    points = {"test points": np.asarray(batch[name])}
    low, high = points["test points"].min(axis=0), points["test points"].max(axis=0)
    low, high = low - 0.15 * (high - low), high + 0.15 * (high - low)
    axes = (np.linspace(low[i], high[i], RESOLUTION) for i in range(2))
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype(spec.dtype)
    found = evaluation.predict(ability, variables, {name: grid}, batch_size=4000)
    if "sample" in experiment.abilities:
        temperature = np.ones(len(batch[name]), np.float32)
        inputs = {"temperature": temperature}
        points |= evaluation.predict(experiment.abilities["sample"], variables, inputs)
        points["samples"] = points.pop("sample")
    values = found["log_density"].reshape(RESOLUTION, RESOLUTION)
    extent = (low[0], high[0], low[1], high[1])
    yield "density", plots.density(values, extent, points, title=title)
