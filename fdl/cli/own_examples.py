"""Test examples of a run, where a command is given no files."""

import argparse

import jax
import numpy as np

from fdl.cli.console import warn
from fdl.data.batches import keyed_items
from fdl.errors import UserError
from fdl.evaluation.dataset import check_epochs
from fdl.runs.open_run import open_run
from fdl.runs.trained_model import is_run
from fdl.types import Ability

Arrays = dict[str, np.ndarray]


def own_examples(
    ability: Ability, options: argparse.Namespace
) -> tuple[Arrays, list[str], Arrays]:
    """Inputs of an ability among the test examples of a run, their names and labels.

    Args:
      ability: Ability of the run's model.
      options: Options with ``workdir``, ``seed`` and ``experiment``.

    Returns:
      Encoded inputs [N, ...] by name; numbers from 0 on; and the class indices, if
      there are any, as ``label``, int [N].

    Raises:
      UserError: It is no run, or the run has no such examples.
    """
    if not is_run(options.workdir):
        raise UserError(
            f"{options.workdir} is no run directory, whose test examples could be "
            "taken: expected files of examples"
        )
    run = open_run(options.workdir, warn, options.experiment)
    examples = run.experiments[run.member(options.seed)].examples
    if examples is None:
        raise UserError(f"{options.workdir} has no test examples: expected files")
    check_epochs(examples.batches)
    take = jax.jit(examples.batches.take)
    data = jax.device_put(examples.batches.data)
    parts = []
    for item, _ in keyed_items(examples.batches):
        batch = jax.device_get(take(data, item))
        shown = np.asarray(batch.get("mask", 1)) > 0  # Not the padding of a batch.
        names = [
            *ability.inputs.inputs,
            *(name for name in ("label",) if name in batch),
        ]
        size = len(batch[names[0]])
        rows = np.flatnonzero(np.broadcast_to(shown, size))
        parts.append({name: batch[name][rows] for name in names})
    arrays = {name: np.concatenate([x[name] for x in parts]) for name in parts[0]}
    labels = {"label": arrays.pop("label")} if "label" in arrays else {}
    count = len(next(iter(arrays.values())))
    return arrays, [str(i) for i in range(count)], labels
