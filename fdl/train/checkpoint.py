"""Checkpoints: atomic, asynchronous, and believed only if every byte is as written."""

import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from fdl.errors import RunError, UserError, near
from fdl.train.loop import Carry, check_finite
from fdl.types import PyTree

DIGESTS = "digests.json"
METRICS = "metrics.json"


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
        mode, _, self._metric = best.partition(" ")
        if mode not in ("min", "max") or not self._metric:
            raise UserError(
                f"config.best={best!r}: expected 'min METRIC' or 'max METRIC'"
            )
        if keep < 1:
            raise UserError(f"config.keep={keep}: expected at least 1")
        self._sign, self._keep = (1 if mode == "min" else -1), keep
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
        if metrics is not None and self._metric not in metrics:
            hint = near(self._metric, metrics)
            raise UserError(
                f"config.best names {self._metric!r}, not evaluated. {hint}"
            )
        self.wait()
        copy = jax.tree.map(jnp.copy, carry)
        self._pending = self._thread.submit(self._write, step, copy, metrics)

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
        return sorted(int(path.name) for path in self.directory.glob("[0-9]*"))

    def best(self) -> int | None:
        """The step of the best checkpoint; None if none was evaluated."""
        scores = {step: self._score(step) for step in self.steps()}
        known = {step: score for step, score in scores.items() if np.isfinite(score)}
        return min(known, key=lambda step: known[step]) if known else None

    def restore(self, step: int, like: PyTree) -> Carry:
        """Reads a checkpoint.

        Args:
          step: Its number.
          like: Shapes, dtypes and shardings of the carry.

        Raises:
          RunError: It is damaged, or of another state.
        """
        folder = self._folder(step)
        check_digests(folder)
        try:
            with ocp.StandardCheckpointer() as orbax:
                return orbax.restore((folder / "state").absolute(), like)
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
          RunError: There are checkpoints, and all are damaged.
        """
        self._remove_leftovers()
        steps, errors = self.steps(), []
        for step in reversed(steps):
            try:
                carry = self.restore(step, like)
            except RunError as error:
                errors.append(step)
                warn(f"{error}; trying the one before it")
                continue
            for damaged in errors:
                self._remove(damaged)
            return step, carry
        if steps:
            raise RunError(f"every checkpoint in {self.directory} is damaged")
        return None

    def _folder(self, step: int) -> pathlib.Path:
        return self.directory / f"{step:08d}"

    def _write(self, step: int, carry: Carry, metrics: Mapping | None) -> None:
        check_finite(carry.first_bad)
        folder = self.directory / f"unfinished-{step:08d}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with ocp.StandardCheckpointer() as orbax:
            orbax.save((folder / "state").absolute(), carry)
        (folder / METRICS).write_text(json.dumps(metrics))
        write_digests(folder)
        self._remove(step)
        folder.rename(self._folder(step))
        _sync(self.directory)
        for old in {*self.steps()} - {*self.steps()[-self._keep :], self.best()}:
            self._remove(old)

    def _remove(self, step: int) -> None:
        """Renames before it deletes, so that there is never half a checkpoint."""
        if self._folder(step).exists():
            doomed = self._folder(step).rename(
                self.directory / f"unfinished-old-{step}"
            )
            shutil.rmtree(doomed)

    def _score(self, step: int) -> float:
        try:
            metrics = json.loads((self._folder(step) / METRICS).read_text())
            return self._sign * float(np.mean(metrics[self._metric]))
        except (OSError, ValueError, KeyError, TypeError):
            return float("nan")

    def _remove_leftovers(self) -> None:
        for folder in self.directory.glob("unfinished-*"):
            shutil.rmtree(folder)


def write_digests(folder: pathlib.Path) -> None:
    """Writes the SHA-256 of each file of a folder into one more, and syncs them all."""
    content = _digests(folder)
    (folder / DIGESTS).write_bytes(_text(content))
    for path in [*_files(folder), folder / DIGESTS, folder]:
        _sync(path)


def check_digests(folder: pathlib.Path) -> None:
    """Raises `RunError` if anything in a folder is not as `write_digests` saw it."""
    try:
        written = (folder / DIGESTS).read_bytes()
        digests = json.loads(written)["files"]
        found = _digests(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"checkpoint {folder} is damaged: {reason(error)}") from None
    names = sorted({*digests, *found["files"]})
    changed = [name for name in names if digests.get(name) != found["files"].get(name)]
    if changed or written != _text(found):
        raise RunError(f"checkpoint {folder} is damaged: {(changed or [DIGESTS])[0]}")


def reason(error: BaseException) -> str:
    """The first line of an error, which may have a hundred."""
    text = str(error).strip() or type(error).__name__
    if "No space left" in text:
        return "no space left on the device"
    return text.splitlines()[0][:200]


def _digests(folder: pathlib.Path) -> dict[str, dict[str, str]]:
    return {
        "files": {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in _files(folder)
        }
    }


def _text(content: Mapping) -> bytes:
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return json.dumps({**content, "digest": digest}, indent=1).encode()


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if path != folder / DIGESTS]


def _sync(path: pathlib.Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
