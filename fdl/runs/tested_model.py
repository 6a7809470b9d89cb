"""Trained models of runs with what they are tested on, to compare them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from fdl.errors import UserError
from fdl.runs.open_run import Run, check_one_model, restore
from fdl.types import Examples, Variables


class TestedModel(NamedTuple):
    """Variables of one seed at a checkpoint, and the examples to test them on.

    Attributes:
      variables: Variables of the model.
      examples: Test examples.
      step: Step of the checkpoint.
    """

    variables: Variables
    examples: Examples
    step: int


class TestedReplicates(NamedTuple):
    """Metrics of all seeds or folds of a run at a checkpoint.

    Attributes:
      metrics: Metrics of the test, or else of the validation, by name, float [S].
      split: "test" or "validation".
      step: Step of the checkpoint.
    """

    metrics: Mapping[str, Any]
    split: str
    step: int


def tested_model(
    run: Run, *, checkpoint: str = "latest", seed: int | None = None
) -> TestedModel:
    """Loads a checkpoint of one seed of a run, and its test examples.

    Args:
      run: Run.
      checkpoint: "best", "latest" or a step.
      seed: One of the seeds of the run; default: the first.

    Raises:
      UserError: There is no such checkpoint or seed, or the experiment has no test
        examples.
    """
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
    return TestedModel(run.variables_of(loop_state, member), examples, step)


def tested_replicates(run: Run, checkpoint: str = "latest") -> TestedReplicates:
    """Evaluates all seeds or folds of a run at a checkpoint.

    Args:
      run: Run of several seeds or folds.
      checkpoint: "best", "latest" or a step.

    Raises:
      UserError: There is no such checkpoint.
    """
    step, loop_state = restore(run.workdir, run.setup, run.loaded.config, checkpoint)
    variables = run.setup.learner.variables(loop_state.state)
    if run.setup.test is None:
        return TestedReplicates(run.setup.evaluate(variables), "validation", step)
    return TestedReplicates(run.setup.test(variables), "test", step)
