"""Logging hook for the norms of each layer's gradients and activations."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from fdl.diagnostics.layer_stats import layer_stats
from fdl.errors import UserError
from fdl.learners import select_variables
from fdl.runs.log import RunLog, to_json
from fdl.train.hooks import Hook
from fdl.train.loop_state import LoopState
from fdl.types import Batches, Learner, Objective, PyTree, State

NUM_EXAMPLES = 32  # Enough to estimate norms, in little memory for all activations.

Measure = Callable[[State], Mapping[str, Mapping[str, Any]]]


def layer_measure(
    learner: Learner,
    objective: Objective | None,
    batches: Batches,
    data: PyTree,
    num_seeds: int,
) -> Measure:
    """Function that measures the norms of each layer, always on the same examples.

    These are the first of the first batch.

    Args:
      learner: Learner of all seeds.
      objective: Objective of each of them.
      batches: Training batches of all seeds.
      data: Data of the batches, on the devices.
      num_seeds: Number of seeds that are trained at once.

    Returns:
      ``measure(state)``: "gradient" and "activation" of each layer, in their order, as
      floats or lists over seeds; see `fdl.diagnostics.layer_stats`.

    Raises:
      UserError: There is no objective.
    """
    if objective is None:
        raise UserError(
            "config.layers_every: expected never, since this learner has no objective "
            "whose gradient could be measured"
        )

    def of_one(variables, batch):
        examples = jax.tree.map(lambda x: x[:NUM_EXAMPLES], batch)
        return layer_stats(objective, variables, examples)

    # The data is an argument, since a closed-over array is compiled in as a constant.
    @jax.jit
    def measure(variables, data, item):
        batch = batches.take(data, item)
        if num_seeds == 1:
            return of_one(variables, batch)
        seeds = [select_variables(variables, i) for i in range(num_seeds)]
        stacked = (
            jax.tree.map(lambda *x: jnp.stack(x), *parts) for parts in (seeds, batch)
        )
        return jax.vmap(of_one)(*stacked)

    first: list[PyTree] = []  # Item of the first batch, read on the first call only.

    def norms_of(state: State) -> dict[str, dict[str, Any]]:
        if not first:
            first.append(next(batches.stream(0)))
        norms = jax.device_get(measure(learner.variables(state), data, first[0]))
        kinds = ("gradient", "activation")
        return {
            kind: to_json({name: getattr(x, kind) for name, x in norms.items()})
            for kind in kinds
        }

    return norms_of


def layer_hook(measure: Measure, every: int, log: RunLog) -> Hook:
    """Hook that logs the norms of `layer_measure` every ``every`` steps."""

    def write(step: int, loop_state: LoopState) -> LoopState:
        log.write_layers(step, measure(loop_state.state))
        return loop_state

    return Hook(every, write)
