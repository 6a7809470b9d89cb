"""Hooks of a training session: they log, evaluate and save."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fdl.runs.checkpoint import Checkpoints
from fdl.runs.run_setup import RunSetup
from fdl.runs.training_clock import TrainingClock
from fdl.train.hooks import Hook, read_metrics
from fdl.train.loop_state import LoopState, check_finite
from fdl.types import Variables

# Called with each line of the log: step, "train", "eval" or "test", and the values.
Write = Callable[[int, str, Mapping[str, Any]], None]
# Called with the text that a model generates: step and text.
WriteText = Callable[[int, str], None]
# Called with a figure of what a model makes: step and figure.
WritePicture = Callable[[int, Any], object]


class SessionHooks(NamedTuple):
    """Hooks of a session, to be called in this order.

    Attributes:
      log: Logs the metrics of training.
      evaluate: Evaluates.
      save_best: Saves a checkpoint of an evaluation that is better than all before.
      save: Saves a checkpoint.
      last_evaluation: Function that returns the metrics of the last evaluation.
    """

    log: Hook
    evaluate: Hook
    save_best: Hook
    save: Hook
    last_evaluation: Callable[[], Mapping[str, Any]]


class _Evaluation(NamedTuple):
    """Last evaluation: its step, 0 if there was none, metrics, and what it was of."""

    step: int
    values: Mapping[str, Any]
    variables: Variables


def session_hooks(
    setup: RunSetup,
    checkpoints: Checkpoints,
    clock: TrainingClock,
    write: Write,
    write_samples: WriteText,
    write_picture: WritePicture,
    sync: Callable[[], None],
    update: Callable[[Mapping[str, Any]], None],
    over: Callable[[], bool],
) -> SessionHooks:
    """Hooks that log, evaluate and save.

    Args:
      setup: Setup of the run.
      checkpoints: Checkpoints of the run.
      clock: Clock that has a lap at each log, and leaves out all other hooks.
      write: Called with each line of the log.
      write_samples: Called with the text that the model generates, if it does.
      write_picture: Called with a figure of what the model makes, if there is one.
      sync: Flushes the log to disk.
      update: Called with each evaluation, for early stopping.
      over: True if the run stops early.
    """
    saved: list[int] = []  # The last step that was saved.
    last = _Evaluation(0, {}, {})
    periods = setup.periods
    read, flush = read_metrics(lambda step, values: write(step, "train", values))

    def log(step: int, loop_state: LoopState) -> LoopState:
        loop_state = read(step, loop_state)
        clock.lap(step)
        return loop_state

    def evaluate(step: int, loop_state: LoopState) -> LoopState:
        nonlocal last
        flush()
        check_finite(loop_state.first_nonfinite)
        variables = setup.learner.variables(loop_state.state)
        values = setup.evaluate(variables)
        write(step, "eval", values)
        if setup.samples is not None:
            write_samples(step, setup.samples(variables))
        if setup.pictures is not None:
            write_picture(step, setup.pictures(variables, f"step {step}"))
        # Checked at the first evaluation, as the first save may be hours later.
        checkpoints.check(values)
        last = _Evaluation(step, values, variables)
        update(values)
        return log_rest(step, loop_state) if over() else loop_state

    def log_rest(step: int, loop_state: LoopState) -> LoopState:
        # An early stop falls between two logs: its metrics are written before the
        # checkpoint that a resumed run would begin from.
        every = periods["log_every"]
        if step < setup.num_steps and not (every and step % every == 0):
            loop_state = log(step, loop_state)
        flush()
        return loop_state

    def save_best(step: int, loop_state: LoopState) -> None:
        if step == last.step and checkpoints.improves(last.values):
            save(step, loop_state)

    def save(step: int, loop_state: LoopState) -> None:
        if step in saved:
            return
        flush()
        sync()
        values, variables = None, setup.learner.variables(loop_state.state)
        if step == last.step:
            values, variables = last.values, last.variables
        part = setup.program.persist(loop_state)
        checkpoints.save(step, part, values, variables if setup.save_model else None)
        saved[:] = [step]

    return SessionHooks(
        Hook(periods["log_every"], log),
        clock.excluding(Hook(periods["eval_every"], evaluate)),
        clock.excluding(
            Hook(periods["eval_every"] if periods["save_every"] else 0, save_best),
            synchronous=False,
        ),
        clock.excluding(Hook(periods["save_every"], save), synchronous=False),
        lambda: last.values,
    )
