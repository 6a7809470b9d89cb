"""Learning one batch by heart: what cannot do that, cannot learn at all."""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError, near
from fdl.types import Batch, Learner, Params, TrainState


class Leaf(NamedTuple):
    """What became of one group of parameters.

    Attributes:
      name: Path of the leaf.
      first: Norm of its gradient at the beginning.
      last: And at the end.
      size: Norm of the parameters at the beginning.
      moved: How far they went.
      dead: Units (places on the last axis of a kernel) without any gradient at the end.
      units: How many there are.
    """

    name: str
    first: float
    last: float
    size: float
    moved: float
    dead: int
    units: int


class Overfit(NamedTuple):
    """What came of it.

    Attributes:
      losses: Of training, before each step, [N].
      target: What it had to reach.
      evaluated: The loss of the batch as in evaluation, at the end: without dropout.
      leaves: Of the parameters.
    """

    losses: np.ndarray
    target: float
    evaluated: float
    leaves: list[Leaf]

    @property
    def reached(self) -> bool:
        """Whether the loss came down to the target."""
        return bool(self.losses[-1] <= self.target)


def overfit(
    learner: Learner,
    state: TrainState,
    batch: Batch,
    *,
    num_steps: int = 1000,
    target: float | None = None,
    every: int = 10,
) -> Overfit:
    """Learns one batch again and again, until its loss is near zero.

    Args:
      learner: With an objective that watches a ``loss``.
      state: Where to begin.
      batch: What to learn.
      num_steps: How long, at most.
      target: The loss that is near zero; a hundredth of the first one by default.
      every: Steps between two looks at the loss.

    Raises:
      UserError: There is no loss to look at.
    """
    objective = learner.objective
    if objective is None:
        raise UserError("this learner has no objective: there is nothing to overfit")
    step, first = jax.jit(learner.step), state
    losses: list[float] = []
    seen: list = []
    for i in range(num_steps):
        state, metrics = step(state, batch)
        if "loss" not in metrics:
            raise UserError(f"there is no metric 'loss'. {near('loss', metrics)}")
        seen.append(metrics["loss"])
        if len(seen) == every or i == num_steps - 1:
            losses += [float(metric.compute()) for metric in seen]
            seen.clear()
            goal = losses[0] / 100 if target is None else target
            # It came down by chance, if it did not stay there.
            if not np.isfinite(losses).all() or max(losses[-2:]) <= goal:
                break
    measure = jax.jit(lambda variables: objective(variables, batch)[0])
    return Overfit(
        np.array(losses),
        goal,
        float(measure(state.variables)),
        [*_leaves(objective, first, state, batch)],
    )


def _leaves(objective, first, last, batch) -> Iterator[Leaf]:
    def gradient(state: TrainState, train: bool) -> Params:
        key = jax.random.fold_in(state.key, state.step)

        def loss(params):
            variables = {"params": params, **state.model_state}
            return objective(variables, batch, key, train=train)[0]

        return jax.grad(loss)(state.params)

    @jax.jit
    def ends(first, last):
        start, end, whole = gradient(first, True), gradient(last, True), last.params
        # Dropout is no death: what gets a gradient without it is alive.
        alive = jax.tree.map(jnp.add, *map(_sizes, (end, gradient(last, False))))
        return start, end, alive, first.params, whole

    paths = [path for path, _ in jax.tree.leaves_with_path(first.params)]
    columns = [jax.tree.leaves(tree) for tree in jax.device_get(ends(first, last))]
    for path, start, end, alive, before, after in zip(paths, *columns, strict=True):
        yield Leaf(
            name=jax.tree_util.keystr(path, simple=True, separator="/"),
            first=_norm(start),
            last=_norm(end),
            size=_norm(before),
            moved=_norm(after - before),
            dead=int((alive == 0).sum()),
            units=alive.size,
        )


def _norm(x: np.ndarray) -> float:
    return float(np.linalg.norm(x.astype(np.float64)))


def _sizes(grads: Params) -> Params:
    """The size of the gradient of each unit, [units]; nothing of what is no kernel."""

    def size(x):
        return jnp.abs(x).sum(axis=tuple(range(x.ndim - 1))) if x.ndim > 1 else x[:0]

    return jax.tree.map(lambda x: size(jnp.atleast_1d(x)), grads)
