"""Training session of a run: logged, evaluated, saved and resumed in its directory."""

import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from fdl.runs.checkpoint import Checkpoints
from fdl.runs.early_stopping import logged_evaluations
from fdl.runs.generative_plots import save_step
from fdl.runs.layer_hook import layer_hook
from fdl.runs.log import RunLog, last_values, read_lines, to_json
from fdl.runs.run_setup import RunSetup
from fdl.runs.session_hooks import Write, WriteText, session_hooks
from fdl.runs.training_clock import TrainingClock
from fdl.train.early_stopping import Evaluation, check_metric, monitor, stop_step
from fdl.train.loop import iterate
from fdl.train.loop_state import LoopState
from fdl.trees import named_leaves, num_bytes
from fdl.types import Batches

# Called with each line of the log: step, "train", "eval" or "test", the values, and the
# steps per second, if they are known.
Show = Callable[[int, str, Mapping[str, Any], float | None], None]


def _nobody(text: str) -> None:
    """Shows a text to nobody."""


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


class Result(NamedTuple):
    """Result of a session.

    Attributes:
      step: Step that was reached; everything up to it is on disk.
      loop_state: Loop state after it.
      validation: Metrics of the last evaluation, numbers, or lists over seeds.
      test: Metrics of the test, once the run has finished; None before, and if the
        experiment has no test.
    """

    step: int
    loop_state: LoopState
    validation: Mapping[str, Any]
    test: Mapping[str, Any] | None

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Metrics of the test, or else of the validation: what claims are about."""
        return self.validation if self.test is None else self.test


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
    program = setup.program
    checkpoints = Checkpoints(
        workdir / "checkpoints", keep=config.keep, best=config.best
    )
    restored = checkpoints.restore_latest(program.saved(setup.keys), warn)
    if restored is None:
        return Start(0, program.init(setup.keys), checkpoints)
    step, part = restored
    return Start(step, program.revive(part, setup.keys), checkpoints)


def left_out(setup: RunSetup, step: int = 0) -> str:
    """Sentence on the part of the state that checkpoints leave out; empty if none.

    Args:
      setup: Setup of the run.
      step: Step from which the run goes on, zero if it begins.
    """
    if setup.learner.persist is None:
        return ""
    whole, saved = (
        named_leaves(tree(setup.keys).state)
        for tree in (setup.program.abstract, setup.program.saved)
    )
    sizes = (f"{num_bytes(leaves) / 2**10:,.0f}" for leaves in (saved, whole))
    names = whole.keys() - saved
    name = (os.path.commonpath(names) if names else "") or "the rest"
    made = "was made anew" if step else "is made anew when a run is resumed"
    return f"checkpoints hold {' of '.join(sizes)} KiB: {name} {made}"


def train(
    setup: RunSetup,
    start: Start,
    workdir: pathlib.Path,
    *,
    show: Show,
    stop: Callable[[], bool],
    stages: Mapping[str, float],
    show_samples: Callable[[str], None] = _nobody,
) -> Result:
    """Trains until the last step, an early stop, or until ``stop()``; then tests.

    Args:
      setup: Setup of the run.
      start: Starting point, of `start`; its loop state is donated.
      workdir: Directory of the run.
      show: Called with each line of the log.
      stop: Called between two calls of the program.
      stages: Seconds of each earlier stage, for the log.
      show_samples: Called with the text that the model generates, if it does.

    Raises:
      RunError: The run failed; earlier checkpoints remain.
      UserError: The metric of early stopping is not evaluated.
    """
    step, loop_state = start.step, start.loop_state
    validation: Mapping[str, Any] = {}
    done = finished(setup, workdir, step)
    if done:
        rows = read_lines(workdir / "metrics.jsonl")
        validation, tested = (last_values(rows, split) for split in ("eval", "test"))
        if tested or setup.test is None:
            return Result(step, loop_state, validation, tested or None)
    if setup.rule is not None and not start.step:
        variables = setup.learner.variables(start.loop_state.state)
        check_metric(setup.rule, setup.evaluate(variables))
    clock = TrainingClock()
    with contextlib.ExitStack() as stack:
        stack.callback(start.checkpoints.wait)
        log = stack.enter_context(contextlib.closing(RunLog(workdir, start.step)))

        def write(step: int, split: str, values: Mapping[str, Any]) -> None:
            position = progress(setup.batches, step)
            speed = clock.steps_per_second() if split == "train" else None
            timing = {"seconds": clock.reached if split == "train" else clock.seconds()}
            timing |= {} if speed is None else {"steps_per_second": speed}
            log.write(step, {**position, **to_json(values, split)}, timing)
            show(step, split, values, speed)

        def write_samples(step: int, text: str) -> None:
            log.write_samples(step, text)
            show_samples(text)

        if not done:
            loop_state, step, validation = _advance(
                setup, start, workdir, log, clock, write, write_samples, stop, stages
            )
            done = finished(setup, workdir, step)
        test = None
        if setup.test is not None and done:
            # On disk first: a test that fails must not cost the end of the training.
            start.checkpoints.wait()
            test = setup.test(setup.learner.variables(loop_state.state))
            write(step, "test", test)
            log.sync()
    return Result(step, loop_state, validation, test)


def finished(setup: RunSetup, workdir: pathlib.Path, step: int) -> bool:
    """True if a run ends at a step, because it is the last or by early stopping."""
    if step >= setup.num_steps:
        return True
    return stop_step(setup.rule, _evaluations(setup, workdir, step)) is not None


def _advance(
    setup: RunSetup,
    start: Start,
    workdir: pathlib.Path,
    log: RunLog,
    clock: TrainingClock,
    write: Write,
    write_samples: WriteText,
    stop: Callable[[], bool],
    stages: Mapping[str, float],
) -> tuple[LoopState, int, Mapping[str, Any]]:
    """Loop state, step and last evaluation at the end of training."""

    def compiled(seconds: float, num_steps: int) -> None:
        log.write_stages({**stages, "compile": seconds})
        clock.lap(start.step + num_steps)

    advance = _time_first_call(setup.program.advance, compiled)
    update, over = monitor(setup.rule, _evaluations(setup, workdir, start.step))
    hooks = session_hooks(
        setup,
        start.checkpoints,
        clock,
        write,
        write_samples,
        lambda step, figure: save_step(figure, workdir, step),
        log.sync,
        update,
        over,
    )
    in_order = [hooks.log, hooks.evaluate, hooks.save_best, hooks.save]
    if setup.layers is not None:
        # In front of the hooks that save: a checkpoint is on disk only when all that
        # was logged up to its step is.
        layers = layer_hook(setup.layers, setup.periods["layers_every"], log)
        in_order.insert(2, clock.excluding(layers))
        # A hook is never called before the first step.
        if not start.step:
            layers.call(0, start.loop_state)
    loop_state, step = iterate(
        setup.program._replace(advance=advance),
        start.loop_state,
        setup.batches,
        start.step,
        setup.num_steps,
        in_order,
        lambda: over() or stop(),
    )
    if start.step < step < setup.num_steps:
        hooks.save.call(step, loop_state)
    return loop_state, step, hooks.last_evaluation()


def _evaluations(
    setup: RunSetup, workdir: pathlib.Path, step: int
) -> Iterable[Evaluation]:
    """Logged evaluations of the early stopping metric."""
    if setup.rule is None:
        return ()
    return logged_evaluations(setup.rule, workdir, step)


def progress(batches: Batches, step: int) -> dict[str, float]:
    """Epochs up to a step; without epochs, number of examples or environment steps."""
    if batches.steps_per_epoch:
        return {"epoch": step / batches.steps_per_epoch}
    return {batches.unit: step * batches.per_step} if batches.per_step else {}


def _time_first_call(advance: Callable, done: Callable[[float, int], None]) -> Callable:
    """Wraps a function to report its first call, which compiles it: seconds and steps.

    The seconds are those until it returns, the steps those that it was asked for.
    """
    first_call = iter([True])

    def timed(*arguments):
        if not next(first_call, False):
            return advance(*arguments)
        began = time.perf_counter()
        result = advance(*arguments)
        done(time.perf_counter() - began, int(arguments[-1]))
        return result

    return timed
