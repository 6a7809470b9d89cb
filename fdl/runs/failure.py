"""Failure snapshots: the state, batch and keys of the step that became non-finite."""

import datetime
import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data.checksums import checksum
from fdl.errors import DamageError, NonFiniteError, RunError
from fdl.files import read_json
from fdl.runs.checkpoint import Checkpoints
from fdl.runs.directory import write_json, writing
from fdl.runs.run_setup import RunSetup
from fdl.train.loop import iterate
from fdl.train.loop_state import LoopState, check_finite
from fdl.trees import named_leaves
from fdl.types import Metrics, PyTree, State

FOLDER = "failure"
DESCRIPTION = "failure.json"
BATCH = "batch.npz"


def save_snapshot(
    setup: RunSetup,
    workdir: pathlib.Path,
    error: NonFiniteError,
    stop: Callable[[], bool] = lambda: False,
) -> pathlib.Path:
    """Saves a snapshot of the step at which a metric became NaN or infinite.

    The state before the step is computed again, from the last checkpoint before it.
    The snapshot holds that state as a checkpoint, the item that the batch is taken by,
    and a description: the step, the metric, the indices of the examples, the keys of
    the state, and the seeds or folds that failed.

    Args:
      setup: Setup of the run.
      workdir: Directory of the run.
      error: Error that the run has raised.
      stop: Called between calls of the program; true gives up.

    Returns:
      Directory of the snapshot.

    Raises:
      RunError: The snapshot could not be saved.
    """
    folder, step = workdir / FOLDER, error.step
    # An older snapshot holds a checkpoint too, from which `state_before` would start.
    with writing(folder):
        if folder.exists():
            shutil.rmtree(folder)
    loop_state, _ = state_before(setup, workdir, step, lambda text: None, stop)
    checkpoints = Checkpoints(folder, keep=1)
    checkpoints.save(step - 1, loop_state, None)
    checkpoints.wait()
    arrays = _arrays(batch_item(setup, step))
    with writing(folder / BATCH):
        np.savez(folder / BATCH, allow_pickle=False, **arrays)
    keys = _keys(loop_state.state)  # Read first: the step donates the state.
    _, metrics = run_step(setup, loop_state, step)
    content = {
        "step": step,
        "metric": error.metric,
        "members": nonfinite_members(metrics),
        "examples": _examples(arrays),
        "keys": keys,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "batch": checksum(folder / BATCH),
    }
    # Written last, as a snapshot counts only if it has a description.
    write_json(folder / DESCRIPTION, content)
    return folder


def read_description(workdir: pathlib.Path) -> dict[str, Any] | None:
    """Description in a failure snapshot; None if the run has none.

    Raises:
      UserError: The description cannot be read.
    """
    path = workdir / FOLDER / DESCRIPTION
    return read_json(path) if path.exists() else None


def state_before(
    setup: RunSetup,
    workdir: pathlib.Path,
    step: int,
    warn: Callable[[str], None],
    stop: Callable[[], bool] = lambda: False,
) -> tuple[LoopState, int]:
    """Loop state before a step, computed from the last checkpoint before it.

    Args:
      setup: Setup of the run.
      workdir: Directory of the run, which is only read.
      step: Number of the step; the first is 1.
      warn: Called with one line for each damaged checkpoint.
      stop: Called between calls of the program; true gives up.

    Returns:
      The loop state, with metrics of zero; and the step of the checkpoint.

    Raises:
      NonFiniteError: A metric of an earlier step is not finite.
      RunError: ``stop`` gave up.
    """
    program = setup.program
    restored = _last_checkpoint(setup, workdir, step - 1, warn)
    start, loop_state = restored or (0, program.init(setup.keys))
    loop_state, reached = iterate(
        program, loop_state, setup.batches, start, step - 1, stop=stop
    )
    if reached < step - 1:
        raise RunError(f"stopped at step {reached}, on the way back to step {step - 1}")
    check_finite(loop_state.first_nonfinite)
    # From zero, the metrics after the next step are those of that step alone.
    zeros = jax.tree.map(jnp.zeros_like, loop_state.metrics)
    return loop_state._replace(metrics=zeros), start


def run_step(
    setup: RunSetup, loop_state: LoopState, step: int
) -> tuple[State, Metrics]:
    """Runs one step by the same program as in training.

    Args:
      setup: Setup of the run.
      loop_state: Loop state before the step, with metrics of zero; it is donated.
      step: Number of the step; the first is 1.

    Returns:
      The state after the step, and the metrics of the step, as sums.
    """
    loop_state, _ = iterate(setup.program, loop_state, setup.batches, step - 1, step)
    return loop_state.state, loop_state.metrics


def batch_item(setup: RunSetup, step: int) -> PyTree:
    """Item by which `Batches.take` makes the batch of a step."""
    return next(setup.batches.stream(step - 1))


def nonfinite_members(metrics: Metrics) -> list[int] | None:
    """Indices of the seeds or folds with a metric that is not finite.

    Args:
      metrics: Metrics of a step, with a leading axis [R] if there are several.

    Returns:
      Indices from zero; None if the metrics are those of a single learner, or named.
    """
    per_member = [
        ~np.isfinite(leaf).reshape(len(leaf), -1).all(axis=1)
        for metric in metrics.values()
        if np.ndim(metric.compute())
        for leaf in jax.tree.leaves(metric)
    ]
    return np.flatnonzero(np.any(per_member, axis=0)).tolist() if per_member else None


def check_batch(setup: RunSetup, workdir: pathlib.Path, step: int) -> None:
    """Raises `RunError` if the data gives another batch than that of the snapshot.

    Nothing is compared if there is no snapshot, or it is of another step.
    """
    snapshot = read_description(workdir)
    if snapshot is None or snapshot.get("step") != step:
        return
    path = workdir / FOLDER / BATCH
    arrays = _arrays(batch_item(setup, step))
    try:
        if checksum(path) != snapshot.get("batch"):
            raise RunError(f"{path} is damaged: not as it was written")
        with np.load(path) as saved:
            # NumPy cannot look for NaN in every dtype, such as that of texts.
            same = {*saved} == {*arrays} and all(
                np.array_equal(saved[name], arrays[name], equal_nan=_inexact(array))
                for name, array in arrays.items()
            )
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    if not same:
        raise RunError(f"{path} is not the batch that the data gives at step {step}")


def _inexact(array: np.ndarray) -> bool:
    return jnp.issubdtype(array.dtype, jnp.inexact)


def _arrays(tree: PyTree) -> dict[str, np.ndarray]:
    return {name: np.asarray(leaf) for name, leaf in named_leaves(tree).items()}


def _examples(arrays: Mapping[str, np.ndarray]) -> list | None:
    """Indices of the examples of an item: one list, or one for each seed or fold."""
    if "index" in arrays:
        return arrays["index"].tolist()
    return [x.tolist() for name, x in arrays.items() if name.endswith("/index")] or None


def _last_checkpoint(
    setup: RunSetup, workdir: pathlib.Path, step: int, warn: Callable[[str], None]
) -> tuple[int, LoopState] | None:
    """Last undamaged checkpoint up to a step, the one of the snapshot included."""
    program = setup.program
    candidates = [
        (saved_step, whole, checkpoints)
        for whole, checkpoints in (
            (False, Checkpoints(workdir / "checkpoints")),
            (True, Checkpoints(workdir / FOLDER)),
        )
        for saved_step in checkpoints.steps()
        if saved_step <= step
    ]
    partial = setup.learner.persist is not None
    for saved_step, whole, checkpoints in sorted(
        candidates, key=lambda found: (found[0], found[1] and partial), reverse=True
    ):
        like = program.abstract if whole else program.saved
        try:
            found = checkpoints.restore(saved_step, like(setup.keys))
        except DamageError as error:
            warn(f"{error}; going back further")
            continue
        if partial and not whole:
            warn(
                f"the checkpoint of step {saved_step} leaves out a part of the state, "
                "so that the steps after it are not the same to the bit"
            )
            found = program.revive(found, setup.keys)
        return saved_step, found
    return None


def _keys(state: State) -> Mapping[str, list]:
    """Random keys of a state, as lists of integers."""
    return {
        name: jax.random.key_data(leaf).tolist()
        for name, leaf in named_leaves(state).items()
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    }
