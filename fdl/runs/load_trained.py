"""Trained models, loaded from a checkpoint of a run."""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

from fdl.errors import UserError
from fdl.runs.experiment import num_folds
from fdl.runs.open_run import open_run, restore
from fdl.types import Predictor, State


class Trained(NamedTuple):
    """State of one seed at a checkpoint, and the predictor that takes it.

    Attributes:
      name: Name of the experiment.
      workdir: Directory of the run.
      predictor: Predictor of the experiment.
      state: State of the learner, of one seed.
      step: Step of the checkpoint.
    """

    name: str
    workdir: pathlib.Path
    predictor: Predictor
    state: State
    step: int


def load_trained(
    workdir: str | pathlib.Path,
    warn: Callable[[str], None],
    *,
    checkpoint: str = "latest",
    seed: int | None = None,
    experiment_file: str | None = None,
) -> Trained:
    """Loads a checkpoint of one seed of a run.

    Args:
      workdir: Directory of the run.
      warn: Called with one line if there is more than one seed to choose from.
      checkpoint: "best", "latest" or a step.
      seed: One of the seeds of the run; default: the first.
      experiment_file: Path of the experiment's file; default: that of the run.

    Raises:
      UserError: There is no such run, checkpoint or seed, or the experiment has no
        predictor.
    """
    run = open_run(workdir, warn, experiment_file)
    config = run.loaded.config
    # Every fold has a model of its own, none of which has seen all the data.
    count = num_folds(config)
    if count:
        raise UserError(
            f"{run.workdir} has {count} folds, and no model of all the data: to get "
            "one, train without --folds"
        )
    member = run.member(seed)
    predictor = run.experiments[member].predictor
    if predictor is None:
        raise UserError(
            f"{run.loaded.name} has no predictor: expected its build to return an "
            "fdl.Experiment with one (see fdl.evaluation.classifier)"
        )
    step, loop_state = restore(run.workdir, run.setup, config, checkpoint)
    if run.num_seeds > 1 and seed is None:
        warn(
            f"{run.workdir} has {run.num_seeds} seeds: this is seed "
            f"{config.seed + member} (--seed)"
        )
    state = run.state_of(loop_state, member)
    return Trained(run.loaded.name, run.workdir, predictor, state, step)
