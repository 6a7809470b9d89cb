"""The black box: what a step that went wrong was made of, and any step once more."""

import datetime
import pathlib
import shutil
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data.digests import of_file
from fdl.errors import NonFiniteError, RunError
from fdl.train.checkpoint import Checkpoints
from fdl.train.digests import DamageError
from fdl.train.folder import read_json, write_json, writing
from fdl.train.loop import Carry, check_finite, iterate
from fdl.train.session import Setting
from fdl.types import Metrics, PyTree, State

FOLDER = "blackbox"
DESCRIPTION = "blackbox.json"
BATCH = "batch.npz"


def keep(
    setting: Setting,
    workdir: pathlib.Path,
    error: NonFiniteError,
    stop: Callable[[], bool] = lambda: False,
) -> pathlib.Path:
    """Goes back to before the step that went wrong, and saves what it was made of.

    That is the state before it, as a checkpoint; the item that its batch is taken by;
    and last a description: the step, the metric, the indices of the examples, the keys
    of the state, and which of several seeds it was.

    Args:
      setting: Of the run.
      workdir: Its folder.
      error: What went wrong.
      stop: Whether to give up, asked between calls.

    Returns:
      The folder of the black box.

    Raises:
      RunError: It could not be saved.
    """
    folder, step = workdir / FOLDER, error.step
    with writing(folder):
        if folder.exists():
            shutil.rmtree(folder)
    carry, _ = before(setting, workdir, step, lambda text: None, stop)
    checkpoints = Checkpoints(folder, keep=1)
    checkpoints.save(step - 1, carry, None)
    checkpoints.wait()
    arrays = _arrays(item(setting, step))
    with writing(folder / BATCH):
        np.savez(folder / BATCH, allow_pickle=False, **arrays)
    keys = _keys(carry.state)
    _, metrics = once(setting, carry, step)
    content = {
        "step": step,
        "metric": error.metric,
        "places": places(metrics),
        "examples": arrays["index"].tolist() if "index" in arrays else None,
        "keys": keys,
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "batch": of_file(folder / BATCH),
    }
    write_json(folder / DESCRIPTION, content)
    return folder


def description(workdir: pathlib.Path) -> dict[str, Any] | None:
    """What a black box says of its step; None if the run has none.

    Raises:
      UserError: It cannot be read.
    """
    path = workdir / FOLDER / DESCRIPTION
    return read_json(path) if path.exists() else None


def before(
    setting: Setting,
    workdir: pathlib.Path,
    step: int,
    warn: Callable[[str], None],
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Carry, int]:
    """What a run had before a step: what was saved last before it, and run from there.

    Args:
      setting: Of the run.
      workdir: Its folder, which is only read.
      step: Which; the first is 1.
      warn: Told of damaged checkpoints.
      stop: Whether to give up, asked between calls.

    Returns:
      The carry, its metrics zero; and the step that it was run from.

    Raises:
      NonFiniteError: It had gone wrong before that.
      RunError: It was given up.
    """
    program = setting.program
    found = _nearest(workdir, step - 1, program.abstract(setting.keys), warn)
    start, carry = found if found else (0, program.init(setting.keys))
    carry, reached = iterate(
        program, carry, setting.batches, start, step - 1, stop=stop
    )
    if reached < step - 1:
        raise RunError(f"stopped at step {reached}, on the way back to step {step - 1}")
    check_finite(carry.first_bad)
    zeros = jax.tree.map(jnp.zeros_like, carry.metrics)
    return carry._replace(metrics=zeros), start


def once(setting: Setting, carry: Carry, step: int) -> tuple[State, Metrics]:
    """Runs one step, just as it ran in training.

    Args:
      setting: Of the run.
      carry: What it had before the step, its metrics zero; it is donated.
      step: Which; the first is 1.

    Returns:
      The state after it, and its metrics, as sums.
    """
    carry, _ = iterate(setting.program, carry, setting.batches, step - 1, step)
    return carry.state, carry.metrics


def item(setting: Setting, step: int) -> PyTree:
    """What the batch of a step is taken by."""
    return next(setting.batches.stream(step - 1))


def places(metrics: PyTree) -> list[int] | None:
    """Which of several seeds or folds have something that is not finite.

    Args:
      metrics: Arrays [S, ...], or such as are of all of them, [].

    Returns:
      Their numbers, from zero; None if there is only one that all metrics are of.
    """
    flaws = [~np.isfinite(leaf) for leaf in jax.tree.leaves(metrics)]
    several = [flaw.reshape(len(flaw), -1) for flaw in flaws if flaw.ndim]
    if not several:
        return None
    return np.flatnonzero(np.concatenate(several, axis=1).any(axis=1)).tolist()


def named(tree: PyTree) -> dict[str, Any]:
    """The leaves of a tree by name."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def check_batch(setting: Setting, workdir: pathlib.Path, step: int) -> None:
    """Raises `RunError` if the batch in the black box is not what the data now gives.

    Nothing is compared if it is of another step, or there is none.
    """
    kept = description(workdir)
    if kept is None or kept.get("step") != step:
        return
    path = workdir / FOLDER / BATCH
    arrays = _arrays(item(setting, step))
    try:
        if of_file(path) != kept.get("batch"):
            raise RunError(f"{path} is damaged: not as it was written")
        with np.load(path) as there:
            same = {*there} == {*arrays} and all(
                np.array_equal(there[name], arrays[name], equal_nan=_inexact(array))
                for name, array in arrays.items()
            )
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    if not same:
        raise RunError(f"{path} is not the batch that the data gives at step {step}")


def _inexact(array: np.ndarray) -> bool:
    return jnp.issubdtype(array.dtype, jnp.inexact)


def _arrays(tree: PyTree) -> dict[str, np.ndarray]:
    return {name: np.asarray(leaf) for name, leaf in named(tree).items()}


def _nearest(
    workdir: pathlib.Path, step: int, like: PyTree, warn: Callable[[str], None]
) -> tuple[int, Carry] | None:
    """The last that is saved up to a step, and whole, in the black box or elsewhere."""
    found = [
        (at, checkpoints)
        for checkpoints in (
            Checkpoints(workdir / "checkpoints"),
            Checkpoints(workdir / FOLDER),
        )
        for at in checkpoints.steps()
        if at <= step
    ]
    for at, checkpoints in sorted(found, key=lambda pair: -pair[0]):
        try:
            return at, checkpoints.restore(at, like)
        except DamageError as error:
            warn(f"{error}; going back further")
    return None


def _keys(state: State) -> Mapping[str, list]:
    """The keys in a state, as numbers."""
    return {
        name: jax.random.key_data(leaf).tolist()
        for name, leaf in named(state).items()
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    }
