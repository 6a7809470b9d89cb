"""Checkpoints: atomic, asynchronous, and believed only if every byte is as written."""

import contextlib
import json
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from fdl.config import goal
from fdl.errors import RunError, UserError, near
from fdl.train.digests import (
    DamageError,
    check_digests,
    read_whole,
    reason,
    sync,
    write_digests,
)
from fdl.train.folder import differences
from fdl.train.loop import Carry, check_finite
from fdl.types import PyTree

METRICS = "metrics.json"
ARRAYS = "arrays.json"


class Checkpoints:
    """The checkpoints of one run: the latest few, and the best.

    A checkpoint is a folder named for its step. It is written beside its place by one
    background thread, digests of all its files last, and then renamed. So there is
    never half a checkpoint, and one that was changed later is noticed.

    Args:
      directory: Where they lie; made if missing. What a killed run left half written
        is removed.
      keep: How many of the latest stay.
      best: "min METRIC" or "max METRIC", of the metrics given to `save`; over several
        seeds their mean counts.

    Raises:
      UserError: ``keep`` or ``best`` make no sense.
    """

    def __init__(
        self, directory: pathlib.Path, *, keep: int = 2, best: str = "min loss"
    ):
        self._sign, self._metric = policy(keep, best)
        self._keep = keep
        self.directory = directory
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    def save(
        self, step: int, carry: Carry, metrics: Mapping[str, float] | None
    ) -> None:
        """Starts to save, without waiting for the device; one save runs at a time.

        Args:
          step: Its number.
          carry: What to save; copied on the device, so that it may be donated.
          metrics: Of an evaluation at this very step, if there was one.

        Raises:
          RunError: The save before this one failed.
          UserError: The metric that decides which is the best was not evaluated.
        """
        if metrics is not None:
            self.check(metrics)
        self.wait()
        copy = jax.tree.map(jnp.copy, carry)
        self._pending = self._thread.submit(self._write, step, copy, metrics)

    def check(self, metrics: Mapping[str, Any]) -> None:
        """Raises `UserError` if what decides which is the best is not among them."""
        if self._metric not in metrics:
            hint = near(self._metric, metrics)
            raise UserError(
                f"config.best names {self._metric!r}, not evaluated. {hint}"
            )

    def wait(self) -> None:
        """Waits until the last save is on disk, and raises `RunError` if it failed."""
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        try:
            pending.result()
        except RunError:
            raise
        except Exception as error:  # Whatever orbax and the file system come up with.
            raise RunError(
                f"cannot write a checkpoint in {self.directory}: {reason(error)}"
            ) from error

    def steps(self) -> list[int]:
        """The steps of all checkpoints, in order."""
        names = [path.name for path in self.directory.glob("[0-9]*")]
        return sorted(int(name) for name in names if name.isdigit())

    def best(self) -> int | None:
        """The step of the best checkpoint; None if none was evaluated.

        Raises:
          RunError: The metrics of one are damaged, so that it may be the best.
        """
        return self._best({step: self._score(step) for step in self.steps()})

    def restore(self, step: int, like: PyTree) -> Carry:
        """Reads a checkpoint.

        Args:
          step: Its number.
          like: Shapes, dtypes and shardings of the carry.

        Raises:
          DamageError: It is damaged.
          RunError: It is of another state.
        """
        folder = self._folder(step)
        check_digests(folder)
        # Orbax would cast to the dtypes that are asked for, in silence.
        differing = differences(arrays(like), read_whole(folder, ARRAYS))
        for name, (here, there) in differing.items():
            raise RunError(
                f"checkpoint {folder} is not of this experiment: "
                f"{name} is {here}, there {there}"
            )
        try:
            with _plainly(folder) as place, ocp.StandardCheckpointer() as orbax:
                return orbax.restore(place / "state", like)
        except Exception as error:  # Orbax raises many kinds, a hundred lines long.
            raise RunError(
                f"checkpoint {folder} is not of this experiment: {reason(error)}"
            ) from error

    def restore_latest(
        self, like: PyTree, warn: Callable[[str], None]
    ) -> tuple[int, Carry] | None:
        """The latest checkpoint that is whole, and its step; None if there are none.

        Args:
          like: Shapes, dtypes and shardings of the carry.
          warn: Told of each damaged checkpoint that was passed over and removed.

        Raises:
          RunError: There are checkpoints, and all are damaged, or of another state.
        """
        self._remove_leftovers()
        damaged: list[tuple[int, DamageError]] = []
        for step in reversed(self.steps()):
            try:
                carry = self.restore(step, like)
            except DamageError as error:
                damaged.append((step, error))
                continue
            for bad, damage in damaged:
                warn(f"{damage}; going on from the one before it")
                self._remove(bad)
            return step, carry
        if damaged:
            raise RunError(f"every checkpoint is damaged; the last: {damaged[0][1]}")
        return None

    def _folder(self, step: int) -> pathlib.Path:
        return self.directory / f"{step:08d}"

    def _write(self, step: int, carry: Carry, metrics: Mapping | None) -> None:
        check_finite(carry.first_bad)
        folder = self.directory / f"unfinished-{step:08d}"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True)
            with _plainly(folder) as place, ocp.StandardCheckpointer() as orbax:
                orbax.save(place / "state", carry)
            (folder / METRICS).write_text(json.dumps(_numbers(metrics)))
            (folder / ARRAYS).write_text(json.dumps(arrays(carry)))
            write_digests(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # It may fill the disk.
            raise
        self._remove(step)
        folder.rename(self._folder(step))
        sync(self.directory)
        for old in {*self.steps()} - self._kept():
            self._remove(old)

    def _kept(self) -> set[int | None]:
        """The latest and the best; one whose metrics are damaged cannot be the best."""
        scores = {}
        for step in self.steps():
            with contextlib.suppress(DamageError):
                scores[step] = self._score(step)
        return {*self.steps()[-self._keep :], self._best(scores)}

    def _remove(self, step: int) -> None:
        """Renames before it deletes, so that there is never half a checkpoint."""
        if self._folder(step).exists():
            doomed = self._folder(step).rename(
                self.directory / f"unfinished-old-{step}"
            )
            shutil.rmtree(doomed)

    def _best(self, scores: Mapping[int, float]) -> int | None:
        known = {step: score for step, score in scores.items() if np.isfinite(score)}
        return min(known, key=lambda step: known[step]) if known else None

    def _score(self, step: int) -> float:
        metrics = read_whole(self._folder(step), METRICS)
        if metrics is None or self._metric not in metrics:
            return float("nan")
        return self._sign * float(np.mean(metrics[self._metric]))

    def _remove_leftovers(self) -> None:
        for folder in self.directory.glob("unfinished-*"):
            shutil.rmtree(folder)


def policy(keep: int, best: str) -> tuple[int, str]:
    """The metric by which a checkpoint is the best, and 1 where less is better, or -1.

    Raises:
      UserError: ``keep`` or ``best`` make no sense.
    """
    if keep < 1:
        raise UserError(f"config.keep={keep}: expected at least 1")
    return goal(best, "config.best")


def _numbers(metrics: Mapping | None) -> dict[str, Any] | None:
    """Metrics as JSON has them, be they floats or arrays of NumPy or JAX."""
    if metrics is None:
        return None
    return {k: np.asarray(x, np.float64).tolist() for k, x in metrics.items()}


@contextlib.contextmanager
def _plainly(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder by a name that is no pattern: orbax looks for its own files by one."""
    whole = folder.absolute()
    if not {*str(whole)} & {*"*?[\\"}:
        yield whole
        return
    with tempfile.TemporaryDirectory() as beside:
        link = pathlib.Path(beside) / "checkpoint"
        link.symlink_to(whole, target_is_directory=True)
        yield link


def arrays(tree: PyTree) -> dict[str, str]:
    """Dtype and shape of each array, by name."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (
            f"{leaf.dtype}{list(leaf.shape)}"
        )
        for path, leaf in jax.tree.leaves_with_path(tree)
    }
