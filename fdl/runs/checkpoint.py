"""Checkpoints: written atomically in the background, verified by SHA-256 digests."""

import contextlib
import pathlib
import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import DamageError, RunError, UserError, near, reason
from fdl.files import identity, remove, sync
from fdl.runs import checkpoint_files as files
from fdl.train.loop_state import LoopState, check_finite
from fdl.train.metric_goal import parse_goal
from fdl.types import PyTree, Variables


class Checkpoints:
    """Checkpoints of one run: the latest few, and the best.

    A checkpoint is a directory named after its step. A background thread writes it
    under a temporary name, the digests of all its files last, and then renames it. So
    there is never a partial checkpoint, and a later change of its files is detected.

    Args:
      directory: Directory of all checkpoints; made by the first save.
      keep: Number of the latest checkpoints that are kept.
      best: "min METRIC" or "max METRIC", of the metrics given to `save`; of several
        seeds, the mean counts.

    Raises:
      UserError: ``keep`` or ``best`` is invalid.
    """

    def __init__(
        self, directory: pathlib.Path, *, keep: int = 2, best: str = "min loss"
    ):
        self._sign, self._metric = policy(keep, best)
        self.keep, self._goal = keep, best
        self.directory = directory
        self._run_folder = identity(directory.parent)
        # A single thread, so that checkpoints are written in the order of their steps.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None
        self._scores: dict[int, float] = {}  # Those that were written or read.
        # Of all evaluations so far; None until checkpoints were looked at. It is not
        # taken from the scores, as the thread may be changing them.
        self._best_score: float | None = None

    def save(
        self,
        step: int,
        loop_state: LoopState,
        metrics: Mapping[str, float] | None,
        variables: Variables | None = None,
    ) -> None:
        """Saves a loop state in the background; waits for the previous save only.

        Args:
          step: Number of the step.
          loop_state: State to save; copied on the device, so that it may be donated.
          metrics: Evaluation at this step; None if there was none.
          variables: Variables of the model, to be read without the experiment; None to
            save the state alone.

        Raises:
          RunError: The previous save failed.
          UserError: The metric of ``best`` was not evaluated.
        """
        if metrics is not None:
            self.check(metrics)
        self.wait()
        # Dispatched asynchronously: the host does not wait for the device here.
        copies = jax.tree.map(jnp.copy, (loop_state, variables))
        self._pending = self._thread.submit(self._write, step, copies, metrics)

    def improves(self, metrics: Mapping[str, Any]) -> bool:
        """True if an evaluation is better than all before, of earlier sessions too."""
        before = self._best_so_far()
        score = self._score_of(metrics)
        self._best_score = min(before, score) if np.isfinite(score) else before
        return bool(score < before)

    def check(self, metrics: Mapping[str, Any]) -> None:
        """Raises `UserError` if the metric of ``best`` is not among the metrics."""
        if self._metric not in metrics:
            hint = near(self._metric, metrics)
            raise UserError(
                f"config.best={self._goal!r}: {self._metric!r} is not evaluated. {hint}"
            )

    def wait(self) -> None:
        """Waits until the last save is on disk; `RunError` if it failed."""
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        try:
            pending.result()
        except RunError:
            raise
        except Exception as error:  # Orbax and the file system raise many types.
            raise RunError(
                f"cannot write a checkpoint in {self.directory}: {reason(error)}"
            ) from error

    def steps(self) -> list[int]:
        """Steps of all checkpoints, in ascending order."""
        # As they are written: "7", "007.damaged" and other digits are no checkpoints.
        names = [path.name for path in self.directory.glob("[0-9]*")]
        steps = {n: int(n) for n in names if re.fullmatch("[0-9]{8,18}", n)}
        return sorted(x for n, x in steps.items() if self._folder(x).name == n)

    def best(self) -> int | None:
        """Step of the best checkpoint; None if none was evaluated.

        Raises:
          RunError: The metrics of a checkpoint are damaged: it might be the best.
        """
        return self._best({step: self._score(step) for step in self.steps()})

    def restore(self, step: int, like: PyTree) -> LoopState:
        """Restores a checkpoint.

        Args:
          step: Number of its step.
          like: Shapes, dtypes and shardings of the loop state.

        Raises:
          DamageError: A file of it is not as it was written.
          RunError: It cannot be read, or its arrays have other names, shapes or dtypes.
          UserError: It is of another version of fdl.
        """
        return files.read(self._folder(step), like)

    def restore_latest(
        self, like: PyTree, warn: Callable[[str], None]
    ) -> tuple[int, LoopState] | None:
        """Restores the latest undamaged checkpoint.

        Partial checkpoints of a killed run are removed.

        Args:
          like: Shapes, dtypes and shardings of the loop state.
          warn: Called with one line for each damaged checkpoint, which is set aside:
            renamed to ``STEP.damaged``, which is no checkpoint.

        Returns:
          Its step and its loop state; None if there is no checkpoint.

        Raises:
          RunError: All checkpoints are damaged, or one cannot be read for the moment,
            or is of another experiment.
        """
        self._remove_leftovers()
        damaged: list[tuple[int, DamageError]] = []
        for step in reversed(self.steps()):
            try:
                loop_state = self.restore(step, like)
            except DamageError as error:
                damaged.append((step, error))
                continue
            # Only when an older one is restored: if all are damaged, none is touched.
            for damaged_step, damage in damaged:
                aside = self._set_aside(damaged_step)
                warn(f"{damage}; going on from the one before it, this is now {aside}")
            return step, loop_state
        if damaged:
            raise RunError(f"every checkpoint is damaged; the last: {damaged[0][1]}")
        return None

    def _folder(self, step: int) -> pathlib.Path:
        return self.directory / f"{step:08d}"

    def read_variables(self, step: int) -> Variables:
        """Variables of the model of a checkpoint, float [...] on the host.

        Raises:
          DamageError: The file is not as it was written.
          UserError: The checkpoint was saved without them.
        """
        return files.read_variables(self._folder(step))

    def _write(
        self,
        step: int,
        copies: tuple[LoopState, Variables | None],
        metrics: Mapping | None,
    ) -> None:
        loop_state, variables = copies
        # Waits for the device, which is why it is checked in this thread.
        check_finite(loop_state.first_nonfinite)
        self._check_in_place()
        folder = self.directory / f"unfinished-{step:08d}"
        remove(folder)
        try:
            # Not the run folder above: if it has gone, it must not come back in part.
            self.directory.mkdir(exist_ok=True)
            files.write(folder, loop_state, metrics, variables)
            self._check_in_place()
        except BaseException:
            # The disk may be full: a partial checkpoint would keep it so.
            shutil.rmtree(folder, ignore_errors=True)
            if identity(self.directory.parent) != self._run_folder:
                # Orbax has made all folders above its files again.
                for made in (self.directory, self.directory.parent):
                    with contextlib.suppress(OSError):  # It is not empty.
                        made.rmdir()
            self._check_in_place()  # If it has gone, this is why.
            raise
        self._remove(step)
        folder.rename(self._folder(step))
        self._scores[step] = self._score_of(metrics)
        # The new name is durable before older checkpoints are removed.
        sync(self.directory)
        for old_step in {*self.steps()} - self._steps_to_keep():
            self._remove(old_step)

    def _check_in_place(self) -> None:
        """Raises `RunError` if the run folder is not the one that was opened."""
        run_folder = self.directory.parent
        if identity(run_folder) != self._run_folder:
            raise RunError(f"{run_folder} was removed or replaced by somebody else")

    def _steps_to_keep(self) -> set[int | None]:
        """Steps of the latest and the best; damaged metrics cannot be the best."""
        return {*self.steps()[-self.keep :], self._best(self._undamaged_scores())}

    def _undamaged_scores(self) -> dict[int, float]:
        """Scores by step; `RunError` if one cannot be read: it may be the best."""
        scores = {}
        for step in self.steps():
            with contextlib.suppress(DamageError):
                scores[step] = self._score(step)
        return scores

    def _remove(self, step: int) -> None:
        """Removes a checkpoint, if it exists."""
        self._scores.pop(step, None)
        if self._folder(step).exists():
            # Renamed first: a process that is killed here leaves no partial checkpoint.
            renamed = self._folder(step).rename(
                self.directory / f"unfinished-old-{step}"
            )
            remove(renamed)

    def _set_aside(self, step: int) -> str:
        """Renames a damaged checkpoint, so that it counts no more; its new name."""
        name = f"{self._folder(step).name}.damaged"
        taken = {path.name for path in self.directory.glob(f"{name}*")}
        while name in taken:
            name += "+"
        self._folder(step).rename(self.directory / name)
        return name

    def _best_so_far(self) -> float:
        """Best score of all evaluations; at first, of the checkpoints on disk."""
        if self._best_score is None:
            self.wait()
            finite = _finite(self._undamaged_scores())
            self._best_score = min(finite.values(), default=np.inf)
        return self._best_score

    def _best(self, scores: Mapping[int, float]) -> int | None:
        finite = _finite(scores)
        return min(finite, key=lambda step: finite[step]) if finite else None

    def _score(self, step: int) -> float:
        """Score of a checkpoint, lower is better; NaN if it was not evaluated."""
        if step not in self._scores:
            folder = self._folder(step)
            try:
                self._scores[step] = self._score_of(files.read_metrics(folder))
            except (TypeError, ValueError) as error:  # Text, say, for a number.
                raise DamageError(folder, files.METRICS, reason(error)) from None
        return self._scores[step]

    def _score_of(self, metrics: Mapping[str, Any] | None) -> float:
        if metrics is None or self._metric not in metrics:
            return float("nan")
        return self._sign * float(np.mean(metrics[self._metric]))

    def _remove_leftovers(self) -> None:
        for folder in self.directory.glob("unfinished-*"):
            remove(folder)


def policy(keep: int, best: str) -> tuple[int, str]:
    """Sign and metric of the best checkpoint: 1 where less is better, or -1.

    Raises:
      UserError: ``keep`` or ``best`` is invalid.
    """
    if keep < 1:
        raise UserError(f"config.keep={keep}: expected at least 1")
    return parse_goal(best, "config.best")


def _finite(scores: Mapping[int, float]) -> dict[int, float]:
    return {step: score for step, score in scores.items() if np.isfinite(score)}
