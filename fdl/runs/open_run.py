"""Finished or stopped runs, opened from their directory."""

import functools
import pathlib
import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from ml_collections import ConfigDict

from fdl.config import in_range
from fdl.errors import RunError, UserError
from fdl.learners import select_variables
from fdl.runs.average_variables import average_variables
from fdl.runs.checkpoint import Checkpoints
from fdl.runs.experiment import LoadedExperiment, build, num_folds
from fdl.runs.experiment_files import user_code
from fdl.runs.process import prepare
from fdl.runs.record import check_same_run, reload, seed_index
from fdl.runs.run_setup import RunSetup, setup
from fdl.train.loop_state import LoopState
from fdl.types import Experiment, Variables

T = TypeVar("T")

MAX_AVERAGED = 1 << 20
MAX_TRIES = 20  # To read what a run at work may be removing.


class Run(NamedTuple):
    """Run with its experiment built again.

    Attributes:
      workdir: Directory of the run.
      loaded: File and config of its experiment.
      num_seeds: Number of seeds that were trained at once.
      experiments: Experiments that were built, one for each seed.
      setup: Setup of the run: learner, batches and evaluation of all seeds.
    """

    workdir: pathlib.Path
    loaded: LoadedExperiment
    num_seeds: int
    experiments: list[Experiment]
    setup: RunSetup

    def member(self, seed: int | None) -> int:
        """Index of a seed among those of the run; the first by default.

        Raises:
          UserError: The run has no such seed.
        """
        first = self.loaded.config.seed
        return seed_index(self.workdir, first, self.num_seeds, seed)

    def title(self, step: int, member: int) -> str:
        """Title of plots: the experiment, the seed if there are several, the step."""
        several = self.num_seeds > 1
        seed = f", seed {self.loaded.config.seed + member}" if several else ""
        return f"{self.loaded.name}{seed}, step {step}"

    def variables_of(self, loop_state: LoopState, member: int) -> Variables:
        """Variables of the model of one seed, by its index."""
        variables = self.setup.learner.variables(loop_state.state)
        if self.num_seeds == 1:
            return variables
        return select_variables(variables, member)


def open_run(
    workdir: str | pathlib.Path,
    warn: Callable[[str], None],
    experiment_file: str | None = None,
) -> Run:
    """Opens a run: loads and builds its experiment, and checks that it is the same.

    Args:
      workdir: Directory of the run.
      warn: Called with one line if the experiment's file has changed.
      experiment_file: Path of the experiment's file; default: that of the run, which
        has to be trusted (see `fdl.runs.trusted_files`).

    Raises:
      UserError: There is no run, or it is of another experiment, config or data, or its
        experiment's file is not trusted.
    """
    workdir = pathlib.Path(workdir)
    loaded, run = reload(workdir, experiment_file)
    num_seeds = run["seeds"]
    prepare(keep_memory=loaded.config.keep_memory)
    experiments = build(loaded, num_seeds)
    with user_code(loaded.path):
        run_setup = setup(experiments, loaded.config)
    fingerprint, weights = run_setup.batches.fingerprint, experiments[0].weights
    # The file is read again: with other code or data, a checkpoint would not fit it.
    check_same_run(loaded, workdir, num_seeds, fingerprint, warn, weights)
    return Run(workdir, loaded, num_seeds, experiments, run_setup)


def check_one_model(run: Run) -> None:
    """Raises `UserError` if a run has folds, none of whose models saw all the data."""
    count = num_folds(run.loaded.config)
    if count:
        raise UserError(
            f"{run.workdir} has {count} folds, and no model of all the data: to get "
            "one, train without --folds"
        )


def restore(
    workdir: pathlib.Path, setup: RunSetup, config: ConfigDict, checkpoint: str
) -> tuple[int, LoopState]:
    """Step and loop state of a checkpoint.

    Args:
      workdir: Directory of the run.
      setup: Setup of the run.
      config: Config of the run, for ``keep`` and ``best``.
      checkpoint: "best", "latest" or a step.

    Raises:
      UserError: There is no such checkpoint.
      RunError: The checkpoint is damaged, or cannot be read.
    """
    checkpoints = Checkpoints(
        workdir / "checkpoints", keep=config.keep, best=config.best
    )

    def read() -> tuple[int, LoopState]:
        step = find_step(checkpoints, workdir, checkpoint)
        return step, _state_at(setup, checkpoints, step)

    return read_anew(checkpoints, read)


def read_anew(checkpoints: Checkpoints, read: Callable[[], T]) -> T:
    """Reads a checkpoint, and another if a run at work has removed it meanwhile.

    Args:
      checkpoints: Checkpoints of the run.
      read: Function that chooses a checkpoint that is there, and reads it.

    Raises:
      Exception: It has failed, although no checkpoint was removed meanwhile.
    """
    for _ in range(MAX_TRIES):
        before = {*checkpoints.steps()}
        try:
            return read()
        except (RunError, UserError):
            if before <= {*checkpoints.steps()}:
                raise
    return read()


def restore_variables(
    run: Run, checkpoint: str, average: int | None = None
) -> tuple[list[int], Variables]:
    """Steps and variables of a checkpoint, or the average of the last ones.

    Args:
      run: Run, of one seed or several.
      checkpoint: "best", "latest" or a step.
      average: Number of the last checkpoints whose parameters are averaged, see
        `average_variables`; None for the one of ``checkpoint``.

    Raises:
      UserError: There is no such checkpoint, or there are fewer.
      RunError: A checkpoint is damaged, or cannot be read.
    """
    config = run.loaded.config
    if average is None:
        step, loop_state = restore(run.workdir, run.setup, config, checkpoint)
        return [step], run.setup.learner.variables(loop_state.state)
    checkpoints = Checkpoints(
        run.workdir / "checkpoints", keep=config.keep, best=config.best
    )

    def read() -> tuple[list[int], Variables]:
        steps = find_steps(checkpoints, run.workdir, checkpoint, average)
        read_one = functools.partial(read_variables, run, checkpoints)
        return steps, average_variables(map(read_one, steps))

    return read_anew(checkpoints, read)


def read_variables(run: Run, checkpoints: Checkpoints, step: int) -> Variables:
    """Variables of the model at a step, of all seeds, also if only its state was saved.

    Args:
      run: Run.
      checkpoints: Its checkpoints.
      step: Step of one of them.

    Raises:
      RunError: The checkpoint is damaged, or cannot be read.
    """
    if run.loaded.config.save_model:
        return checkpoints.read_variables(step)
    state = _state_at(run.setup, checkpoints, step).state
    return run.setup.learner.variables(state)


def _state_at(setup: RunSetup, checkpoints: Checkpoints, step: int) -> LoopState:
    """Loop state of a checkpoint, whole."""
    part = checkpoints.restore(step, setup.program.saved(setup.keys))
    return setup.program.revive(part, setup.keys)


def find_steps(
    checkpoints: Checkpoints,
    workdir: pathlib.Path,
    checkpoint: str,
    average: int | None = None,
) -> list[int]:
    """Steps of the checkpoints that are asked for: one, or the last ones to average.

    Args:
      checkpoints: Checkpoints of the run.
      workdir: Directory of the run.
      checkpoint: "best", "latest" or a step.
      average: Number of the last checkpoints; None for the one of ``checkpoint``.

    Raises:
      UserError: There is no such checkpoint, or there are fewer.
    """
    if average is None:
        return [find_step(checkpoints, workdir, checkpoint)]
    average = in_range("--average", average, 1, MAX_AVERAGED)
    if checkpoint != "latest":
        raise UserError(
            f"--checkpoint={checkpoint}: expected none with --average, which is of the "
            "last ones"
        )
    find_step(checkpoints, workdir, checkpoint)  # There is one at least.
    # A best one that is older may be there as well, but none of those in between.
    last = checkpoints.steps()[-checkpoints.keep :]
    if average > len(last):
        raise UserError(
            f"--average={average}: expected at most {len(last)}, as {workdir} has the "
            f"last checkpoints of steps {', '.join(map(str, last))}; a run keeps "
            f"config.keep={checkpoints.keep} of them"
        )
    return last[-average:]


def find_step(checkpoints: Checkpoints, workdir: pathlib.Path, checkpoint: str) -> int:
    """Step of a checkpoint that is asked for.

    Args:
      checkpoints: Checkpoints of the run.
      workdir: Directory of the run.
      checkpoint: "best", "latest" or a step.

    Raises:
      UserError: There is no such checkpoint.
    """
    steps = checkpoints.steps()
    if not steps:
        raise UserError(f"{workdir} has no checkpoint yet")
    if re.fullmatch("[0-9]{1,18}", checkpoint):
        step = int(checkpoint)
    elif checkpoint in ("best", "latest"):
        best = checkpoints.best() if checkpoint == "best" else steps[-1]
        if best is None:
            raise UserError(
                f"no checkpoint in {workdir} was evaluated: there is no best"
            )
        step = best
    else:
        raise UserError(f"--checkpoint={checkpoint}: expected best, latest or a step")
    if step not in steps:
        there = ", ".join(map(str, steps))
        raise UserError(
            f"{workdir} has no checkpoint of step {step}. There is: {there}."
        )
    return step
