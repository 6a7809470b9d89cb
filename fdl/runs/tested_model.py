"""Trained model of a run with its test examples."""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

from fdl.errors import UserError
from fdl.runs.open_run import check_one_model, open_run, restore
from fdl.types import Examples, Variables


class TestedModel(NamedTuple):
    """Variables of one seed at a checkpoint, and the examples to test them on.

    Attributes:
      name: Name of the experiment.
      workdir: Directory of the run.
      variables: Variables of the model.
      examples: Test examples.
      step: Step of the checkpoint.
    """

    name: str
    workdir: pathlib.Path
    variables: Variables
    examples: Examples
    step: int


def tested_model(
    workdir: str | pathlib.Path,
    warn: Callable[[str], None],
    *,
    checkpoint: str = "latest",
    seed: int | None = None,
    experiment_file: str | None = None,
) -> TestedModel:
    """Loads a checkpoint of one seed of a run, and its test examples.

    Args:
      workdir: Directory of the run.
      warn: Called with one line if there is more than one seed to choose from.
      checkpoint: "best", "latest" or a step.
      seed: One of the seeds of the run; default: the first.
      experiment_file: Path of the experiment's file; default: that of the run, which
        has to be trusted.

    Raises:
      UserError: There is no such run, checkpoint or seed, or the experiment has no test
        examples.
    """
    run = open_run(workdir, warn, experiment_file)
    config = run.loaded.config
    check_one_model(run)
    member = run.member(seed)
    examples = run.experiments[member].examples
    if examples is None:
        raise UserError(
            f"{run.loaded.name} has no test examples: expected its build to return an "
            "fdl.Experiment with some (see fdl.types.Examples)"
        )
    step, loop_state = restore(run.workdir, run.setup, config, checkpoint)
    if run.num_seeds > 1 and seed is None:
        warn(
            f"{run.workdir} has {run.num_seeds} seeds: this is seed "
            f"{config.seed + member} (--seed)"
        )
    variables = run.variables_of(loop_state, member)
    return TestedModel(run.loaded.name, run.workdir, variables, examples, step)
