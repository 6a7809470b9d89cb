"""Overfit test: training on one batch until its loss is near zero.

A model that cannot overfit one batch has a bug, or a badly chosen optimizer.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError, near
from fdl.learners.step_outputs import checked
from fdl.trees import path_name
from fdl.types import Batch, Key, Learner, Objective, Params, State, Variables


class LeafStats(NamedTuple):
    """Statistics of one leaf of the parameters over an overfit test.

    Attributes:
      name: Path of the leaf.
      initial_grad_norm: Norm of its gradient at the start.
      final_grad_norm: Norm of its gradient at the end.
      initial_norm: Norm of the parameters at the start.
      distance: Norm of the difference between final and initial parameters.
      num_dead_units: Number of units (indices of the last axis of a kernel) with a
        gradient of zero at the end.
      num_units: Number of units; zero for a leaf that is no kernel.
    """

    name: str
    initial_grad_norm: float
    final_grad_norm: float
    initial_norm: float
    distance: float
    num_dead_units: int
    num_units: int


class Overfit(NamedTuple):
    """Result of an overfit test.

    Attributes:
      losses: Training loss before each step, float [N].
      target: Loss to reach.
      eval_loss: Loss of the batch at the end in evaluation mode, without dropout.
      leaves: Statistics of each leaf of the parameters.
    """

    losses: np.ndarray
    target: float
    eval_loss: float
    leaves: list[LeafStats]

    @property
    def reached(self) -> bool:
        """True if the last loss is at or below the target."""
        return bool(self.losses[-1] <= self.target)


def overfit(
    learner: Learner,
    state: State,
    batch: Batch,
    *,
    num_steps: int = 1000,
    target: float | None = None,
    every: int = 10,
) -> Overfit:
    """Overfit test: trains on one batch until its loss is near zero.

    Args:
      learner: Learner with an objective and a metric ``loss``.
      state: State to start from.
      batch: Batch to train on.
      num_steps: Maximum number of steps.
      target: Loss at which to stop; default: a hundredth of the first loss.
      every: Number of steps between two checks of the loss.

    Raises:
      UserError: The learner has no objective, or no metric ``loss``.
    """
    objective = learner.objective
    if objective is None:
        raise UserError(
            "learner.objective=None: expected one, whose loss is to overfit"
        )
    step, initial_state = jax.jit(checked(learner.step)), state
    losses: list[float] = []
    pending: list = []  # Metrics that are still on the device.
    for i in range(num_steps):
        state, metrics = step(state, batch)
        if "loss" not in metrics:
            raise UserError(
                f"metrics={[*metrics]}: expected 'loss' among them. "
                f"{near('loss', metrics)}"
            )
        pending.append(metrics["loss"])
        # To read a loss is to wait for the device, so they are read in groups.
        if len(pending) == every or i == num_steps - 1:
            losses += [float(metric.compute()) for metric in pending]
            pending.clear()
            threshold = losses[0] / 100 if target is None else target
            # A single loss may be low by chance, so two in a row have to be.
            if not np.isfinite(losses).all() or max(losses[-2:]) <= threshold:
                break
    initial, final = learner.variables(initial_state), learner.variables(state)
    key = jax.random.key(0)  # Of dropout, and of what an evaluation draws.
    eval_loss = jax.jit(lambda variables: objective(variables, batch, key)[0])
    return Overfit(
        np.array(losses),
        threshold,
        float(eval_loss(final)),
        [*_leaf_stats(objective, initial, final, batch, key)],
    )


def _leaf_stats(
    objective: Objective,
    initial: Variables,
    final: Variables,
    batch: Batch,
    key: Key,
) -> Iterator[LeafStats]:
    """Statistics of each leaf, in the order of the tree."""

    def gradient(variables: Variables, train: bool) -> Params:
        def loss(params):
            changed = {**variables, "params": params}
            return objective(changed, batch, key, train=train)[0]

        return jax.grad(loss)(variables["params"])

    @jax.jit
    def measure(initial, final):
        initial_grads, final_grads = gradient(initial, True), gradient(final, True)
        # A unit that dropout has dropped in this very pass is not dead: it has a
        # gradient without dropout.
        grads = final_grads, gradient(final, False)
        unit_grads = jax.tree.map(jnp.add, *map(_unit_grads, grads))
        params = initial["params"], final["params"]
        return initial_grads, final_grads, unit_grads, *params

    paths = [path for path, _ in jax.tree.leaves_with_path(initial["params"])]
    trees = jax.device_get(measure(initial, final))
    columns = [jax.tree.leaves(tree) for tree in trees]
    for path, initial_grad, final_grad, unit_grads, before, after in zip(
        paths, *columns, strict=True
    ):
        yield LeafStats(
            name=path_name(path),
            initial_grad_norm=_norm(initial_grad),
            final_grad_norm=_norm(final_grad),
            initial_norm=_norm(before),
            distance=_norm(after - before),
            num_dead_units=int((unit_grads == 0).sum()),
            num_units=unit_grads.size,
        )


def _norm(x: np.ndarray) -> float:
    # In float64: the squares of large or small gradients leave the range of float32.
    return float(np.linalg.norm(x.astype(np.float64)))


def _unit_grads(grads: Params) -> Params:
    """L1 norms of the gradients of each unit, [units]; [0] for leaves of one axis."""

    def l1_norm(x):
        return jnp.abs(x).sum(axis=tuple(range(x.ndim - 1))) if x.ndim > 1 else x[:0]

    return jax.tree.map(lambda x: l1_norm(jnp.atleast_1d(x)), grads)
