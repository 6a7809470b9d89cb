"""Training session of a run: logged, evaluated, saved and resumed in its directory."""

import contextlib
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from fdl.runs.checkpoint import Checkpoints
from fdl.runs.early_stopping import logged_evaluations
from fdl.runs.layer_hook import layer_hook
from fdl.runs.log import RunLog, to_json
from fdl.runs.run_setup import RunSetup
from fdl.train.early_stopping import Evaluation, check_metric, monitor, stop_step
from fdl.train.hooks import Hook, read_metrics
from fdl.train.loop import iterate
from fdl.train.loop_state import LoopState, check_finite
from fdl.types import Batches

# Called with each line of the log: step, "train" or "eval", and the values.
Show = Callable[[int, str, Mapping[str, Any]], None]


class Start(NamedTuple):
    """Starting point of a session: the beginning, or the last checkpoint.

    Attributes:
      step: Number of steps that are done.
      loop_state: Loop state after these steps.
      checkpoints: Checkpoints of the run.
    """

    step: int
    loop_state: LoopState
    checkpoints: Checkpoints


def start(
    setup: RunSetup,
    config: ConfigDict,
    workdir: pathlib.Path,
    warn: Callable[[str], None],
) -> Start:
    """Restores the last checkpoint of a run, or initialises its state.

    Args:
      setup: Setup of the run.
      config: Config of the run, for ``keep`` and ``best``.
      workdir: Directory of the run.
      warn: Called with one line for each damaged checkpoint.

    Raises:
      RunError: There are checkpoints, but all are damaged, or of another experiment.
    """
    checkpoints = Checkpoints(
        workdir / "checkpoints", keep=config.keep, best=config.best
    )
    like = setup.program.abstract(setup.keys)
    restored = checkpoints.restore_latest(like, warn)
    step, loop_state = restored or (0, setup.program.init(setup.keys))
    return Start(step, loop_state, checkpoints)


def train(
    setup: RunSetup,
    start: Start,
    workdir: pathlib.Path,
    *,
    show: Show,
    stop: Callable[[], bool],
    stages: Mapping[str, float],
) -> int:
    """Trains until the last step, an early stop, or until ``stop()``.

    Args:
      setup: Setup of the run.
      start: Starting point, of `start`; its loop state is donated.
      workdir: Directory of the run.
      show: Called with each line of the log.
      stop: Called between two calls of the program.
      stages: Seconds of each earlier stage, for the log.

    Returns:
      The step that was reached; everything up to it is on disk.

    Raises:
      RunError: The run failed; earlier checkpoints remain.
      UserError: The metric of early stopping is not evaluated.
    """
    if finished(setup, workdir, start.step):
        return start.step
    if setup.rule is not None and not start.step:
        check_metric(setup.rule, setup.evaluate(start.loop_state.state))
    with contextlib.ExitStack() as stack:
        stack.callback(start.checkpoints.wait)
        log = stack.enter_context(contextlib.closing(RunLog(workdir, start.step)))

        def write(step: int, split: str, values: Mapping[str, Any]) -> None:
            log.write(step, {**progress(setup.batches, step), **to_json(values, split)})
            show(step, split, values)

        def write_compile_time(seconds: float) -> None:
            log.write_stages({**stages, "compile": seconds})

        advance = _time_first_call(setup.program.advance, write_compile_time)
        update, over = monitor(setup.rule, _evaluations(setup, workdir, start.step))
        hooks, save = _hooks(setup, start.checkpoints, write, log.sync, update, over)
        if setup.layers is not None:
            every = setup.periods["layers_every"]
            # In front of the hook that saves: a checkpoint is on disk only when all
            # that was logged up to its step is.
            hooks.insert(-1, layer_hook(setup.layers, every, log))
            # A hook is never called before the first step.
            if not start.step:
                hooks[-2].call(0, start.loop_state)
        loop_state, step = iterate(
            setup.program._replace(advance=advance),
            start.loop_state,
            setup.batches,
            start.step,
            setup.num_steps,
            hooks,
            lambda: over() or stop(),
        )
        if start.step < step < setup.num_steps:
            save(step, loop_state)
    return step


def finished(setup: RunSetup, workdir: pathlib.Path, step: int) -> bool:
    """True if a run ends at a step, because it is the last or by early stopping."""
    if step >= setup.num_steps:
        return True
    return stop_step(setup.rule, _evaluations(setup, workdir, step)) is not None


def _evaluations(
    setup: RunSetup, workdir: pathlib.Path, step: int
) -> Iterable[Evaluation]:
    """Logged evaluations of the early stopping metric."""
    if setup.rule is None:
        return ()
    return logged_evaluations(setup.rule, workdir, step)


def _hooks(
    setup: RunSetup,
    checkpoints: Checkpoints,
    write: Show,
    sync: Callable[[], None],
    update: Callable[[Mapping[str, Any]], None],
    over: Callable[[], bool],
) -> tuple[list[Hook], Callable[[int, LoopState], LoopState]]:
    """Hooks that log, evaluate and save, in this order; and the one that saves."""
    saved: list[
        int
    ] = []  # The last step that was saved, as `save` may be called twice.
    evaluated: dict[int, Mapping[str, Any]] = {}
    log, flush = read_metrics(lambda step, values: write(step, "train", values))

    def evaluate(step: int, loop_state: LoopState) -> LoopState:
        flush()
        check_finite(loop_state.first_nonfinite)
        evaluated.clear()
        evaluated[step] = setup.evaluate(loop_state.state)
        write(step, "eval", evaluated[step])
        # Checked at the first evaluation, as the first save may be hours later.
        checkpoints.check(evaluated[step])
        update(evaluated[step])
        return log_rest(step, loop_state) if over() else loop_state

    def log_rest(step: int, loop_state: LoopState) -> LoopState:
        # An early stop falls between two logs: its metrics are written before the
        # checkpoint that a resumed run would begin from.
        every = setup.periods["log_every"]
        if step < setup.num_steps and not (every and step % every == 0):
            loop_state = log(step, loop_state)
        flush()
        return loop_state

    def save(step: int, loop_state: LoopState) -> LoopState:
        if step not in saved:
            flush()
            sync()
            checkpoints.save(step, loop_state, evaluated.get(step))
            saved[:] = [step]
        return loop_state

    periods = setup.periods
    hooks = [
        Hook(periods["log_every"], log),
        Hook(periods["eval_every"], evaluate),
        Hook(periods["save_every"], save),
    ]
    return hooks, save


def progress(batches: Batches, step: int) -> dict[str, float]:
    """Epochs up to a step; without epochs, number of examples or environment steps."""
    if batches.steps_per_epoch:
        return {"epoch": step / batches.steps_per_epoch}
    return {batches.unit: step * batches.per_step} if batches.per_step else {}


def _time_first_call(advance: Callable, done: Callable[[float], None]) -> Callable:
    """Wraps a function to report the seconds of its first call, which compiles it."""
    first_call = iter([True])

    def timed(*arguments):
        if not next(first_call, False):
            return advance(*arguments)
        began = time.perf_counter()
        result = advance(*arguments)
        done(time.perf_counter() - began)
        return result

    return timed
