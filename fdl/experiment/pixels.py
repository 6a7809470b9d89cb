"""Task of autoregressive models of discrete images."""

from functools import partial

from fdl import evaluation, objectives
from fdl.experiment.tasks import Task, check_labels


def pixels() -> Task:
    """Maximum likelihood of discrete images, which can be sampled.

    The data has the values 0 to V − 1 of each pixel, of which the preprocessing may
    make pixels from 0 to 1: `fdl.data.preprocessing.images` with ``white=V - 1``.

    Example:
      >>> task = pixels()
      >>> list(task.abilities)
      ['sample']
      >>> import numpy as np
      >>> task.check(2, {"image": np.array([[0, 1], [3, 0]])}, "train")
      Traceback (most recent call last):
      fdl.errors.UserError: train, row 2: image=3: expected 0 to 1, as the network has \
2 outputs
    """
    return Task(
        objectives.pixel_likelihood,
        {"sample": lambda model, _: evaluation.pixel_sampler(model)},
        partial(check_labels, labels="image"),
    )
