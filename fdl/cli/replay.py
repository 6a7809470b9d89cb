"""`fdl replay`: run a step again, and trace NaN or infinity to its operation."""

import argparse
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.table import Table

from fdl import losses
from fdl.cli.arguments import add_run
from fdl.cli.console import console, print_table, warn
from fdl.diagnostics.nan_trace import (
    Origin,
    explain,
    nonfinite_kind,
    trace_nonfinite,
)
from fdl.errors import NonFiniteError, UserError
from fdl.learners import select
from fdl.metrics.names import in_order
from fdl.optim.transforms import logging
from fdl.runs import failure
from fdl.runs.experiment import num_folds
from fdl.runs.log import read_lines, to_json
from fdl.runs.open_run import Run, open_run
from fdl.trees import named_leaves
from fdl.types import Batch, Experiment, Metrics, PyTree, State

LOSSES = pathlib.Path(losses.__file__).parent
NORM = pathlib.Path(logging.__file__)
LARGE = 1e6  # Absolute value of a parameter that no network is trained to.


class StepInputs(NamedTuple):
    """Inputs of a step of one seed.

    Attributes:
      experiment: Experiment of the seed.
      state: State of the learner before the step.
      item: Item that the batch is taken by.
    """

    experiment: Experiment
    state: State
    item: PyTree


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_run(parser)
    parser.add_argument(
        "--step", type=int, metavar="N", help="default: the one that went wrong"
    )


def main(options: argparse.Namespace) -> int:
    """Runs a step again, and names the first operation that went wrong."""
    run = open_run(options.workdir, warn, options.experiment)
    workdir, setup = run.workdir, run.setup
    step = chosen_step(options.step, workdir, setup.num_steps)
    try:
        loop_state, checkpoint = failure.state_before(setup, workdir, step, warn)
    except NonFiniteError as error:
        raise UserError(f"--step={step}: {error}; say --step {error.step}") from error
    failure.check_batch(setup, workdir, step)
    out = console()
    out.print(
        f"{run.loaded.name}: step {step} again, from the state of step {checkpoint}"
    )
    state = jax.tree.map(jnp.copy, loop_state.state)  # The step donates the original.
    after, metrics = failure.run_step(setup, loop_state, step)
    print_table(out, metric_table(metrics, logged_metrics(workdir, step)))
    bad = nonfinite_members(run, metrics, state, after)
    if not bad:
        out.print(f"step {step}: all is finite")
        return 0
    if run.num_seeds > 1:
        out.print(several("seed", [run.loaded.config.seed + i for i in bad]))
    elif num_folds(run.loaded.config):
        out.print(several("fold", [*bad]))
    member = next(iter(bad))
    names = bad[member]
    if run.num_seeds == 1:
        names = nonfinite_leaves(metrics) or nonfinite_leaves(after, state)
    inputs = inputs_of(run, state, step, member)
    for line in explanation(inputs, {*names}, run.loaded.path):
        out.print(line)
    return 0


def nonfinite_members(
    run: Run, metrics: Metrics, state: State, after: State
) -> dict[int, Mapping[str, Any]]:
    """Non-finite leaves of a step, by the indices of the seeds or folds that have some.

    They are those of the metrics or, if these are finite, of the state after the step.
    """
    count = run.num_seeds if run.num_seeds > 1 else num_folds(run.loaded.config)
    if not count:
        bad = nonfinite_leaves(metrics) or nonfinite_leaves(after, state)
        return {0: bad} if bad else {}
    found = {
        i: nonfinite_leaves(jax.tree.map(lambda x, i=i: x[i], metrics))
        or nonfinite_leaves(select(after, i), select(state, i))
        for i in range(count)
    }
    return {i: bad for i, bad in found.items() if bad}


def chosen_step(step: int | None, workdir: pathlib.Path, num_steps: int) -> int:
    """Step to replay: that of the failure snapshot, unless one is given.

    Raises:
      UserError: There is no such step, or no snapshot.
    """
    if step is None:
        snapshot = failure.read_description(workdir)
        if snapshot is None:
            raise UserError(
                f"{workdir} has no failure snapshot: no step of it is known to have "
                f"gone wrong. Name one with --step, 1 to {num_steps}"
            )
        step = snapshot.get("step")
        if type(step) is not int or not 1 <= step <= num_steps:
            path = workdir / failure.FOLDER
            raise UserError(f"{path} is damaged: 'step' is none of 1 to {num_steps}")
        return step
    if not 1 <= step <= num_steps:
        raise UserError(f"--step={step}: {workdir} has the steps 1 to {num_steps}")
    return step


def nonfinite_leaves(tree: PyTree, before: PyTree = None) -> dict[str, Any]:
    """Non-finite leaves of a tree by name, without those that ``before`` has too."""
    leaves_before = {} if before is None else named_leaves(before)
    return {
        name: leaf
        for name, leaf in named_leaves(tree).items()
        if nonfinite_kind(leaf)
        and not (name in leaves_before and nonfinite_kind(leaves_before[name]))
    }


def inputs_of(run: Run, state: State, step: int, member: int) -> StepInputs:
    """Inputs of a step, of one of several seeds."""
    experiment = run.experiments[member if run.num_seeds > 1 else 0]
    item = next(experiment.batches.stream(step - 1))
    if run.num_seeds > 1:
        state = select(state, member)
    return StepInputs(experiment, state, item)


def is_mark(origin: Origin) -> bool:
    """True if a loss of fdl has made NaN of a label that is not valid."""
    operation = origin.operation
    if operation is None or not any(x.num_nonfinite for x in operation.operands):
        return False
    return was_called(origin, lambda file: file.parent == LOSSES)


def was_called(origin: Origin, is_file: Callable[[pathlib.Path], bool]) -> bool:
    """True if an operation was called, directly or not, by code of a file."""
    frames = origin.operation.frames if origin.operation is not None else ()
    return any(is_file(pathlib.Path(frame.file)) for frame in frames)


def ranges(batch: Batch) -> Iterator[str]:
    """Least and greatest number of each array of a batch, and the latter's example."""
    for name, leaf in named_leaves(batch).items():
        array = np.asarray(leaf)
        if array.size and np.issubdtype(array.dtype, np.number):
            largest = np.unravel_index(array.argmax(), array.shape)
            yield (
                f"  {name:12}{array.dtype}{[*array.shape]}, from {array.min():.6g} to "
                f"{array.max():.6g}, first at {[int(i) for i in largest]}"
            )


def largest_parameter(inputs: StepInputs) -> float:
    """Largest absolute value of the parameters before the step; 0 if there are none."""
    params = inputs.experiment.learner.variables(inputs.state)["params"]
    leaves = [np.abs(np.asarray(x, np.float64)) for x in jax.tree.leaves(params)]
    return max((float(x.max(initial=0.0)) for x in leaves), default=0.0)


def several(noun: str, numbers: Sequence[int]) -> str:
    """Sentence that names the seeds or folds that are not finite, the traced first."""
    if len(numbers) == 1:
        return f"{noun} {numbers[0]} went wrong"
    names = ", ".join(map(str, numbers))
    return f"the {noun}s {names} went wrong; this is {noun} {numbers[0]}"


def logged_metrics(workdir: pathlib.Path, step: int) -> Mapping[str, Any]:
    """Logged metrics of a step; none if it was logged together with others."""
    rows = [
        row
        for row in read_lines(workdir / "metrics.jsonl")
        if any(name.startswith("train/") for name in row)
    ]
    # A row holds the means since the row before it: of one step only if that row is of
    # the step before.
    steps = [row["step"] for row in rows]
    if step not in steps or (step > 1 and step - 1 not in steps):
        return {}
    return rows[steps.index(step)]


def metric_table(metrics: Metrics, logged: Mapping[str, Any]) -> Table:
    """Table of the metrics of a step, with those that were logged beside them."""
    table = Table("metric", "value", *(["logged"] if logged else []))
    for name in in_order(metrics):
        metric = metrics[name]
        value = np.asarray(metric.compute())
        if np.isnan(value).all() and not nonfinite_leaves(metric):
            continue  # A mean of nothing, as the return before an episode has ended.
        row = [name, ", ".join(f"{x:.5g}" for x in np.atleast_1d(value))]
        ((key, number),) = to_json({name: value}, "train").items()
        if logged:
            same = logged.get(key) == number
            row.append("the same" if same else f"{logged.get(key)}")
        table.add_row(*row)
    return table


def explanation(inputs: StepInputs, bad: set[str], path: pathlib.Path) -> Iterator[str]:
    """Explanation of where NaN or infinity comes from, line by line."""
    step, batches = inputs.experiment.learner.step, inputs.experiment.batches

    def outputs(state, data, item):
        after, metrics = step(state, batches.take(data, item))
        leaves = named_leaves(after) | named_leaves(metrics)
        return {name: leaf for name, leaf in leaves.items() if name in bad}

    # On one device, so that sharded arrays are traced in one piece.
    arguments = jax.device_put(
        (inputs.state, batches.data, inputs.item), jax.devices()[0]
    )
    origin = trace_nonfinite(outputs, *arguments)
    if origin is None:
        yield (
            "run in small parts, all is finite: it goes wrong only as it was compiled, "
            "or not every time"
        )
        return
    if origin.arguments:
        yield from (
            explain.describe_argument(name, *arguments) for name in origin.arguments
        )
        return
    if was_called(origin, lambda file: file == NORM):
        # One that fdl logs. All numbers are finite, and so is the loss.
        yield (
            "a norm of gradients, updates or parameters left float32, of numbers that "
            "are all finite: most often the learning rate is too large"
        )
        return
    yield explain.headline(origin)
    if is_mark(origin):
        yield "a label is no class index, or out of its range; this batch has"
        yield from ranges(batches.take(batches.data, inputs.item))
    largest = largest_parameter(inputs)
    if largest > LARGE:
        yield (
            f"the parameters had grown to {largest:.2g} before this step: most often "
            "the learning rate is too large"
        )
    yield from explain.details(origin, path)
