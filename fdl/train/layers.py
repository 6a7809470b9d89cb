"""How large gradients and outputs of each layer are, while a run goes on."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from fdl.errors import UserError
from fdl.layers import layer_norms
from fdl.train.loop import Carry, Hook
from fdl.train.report import Record, plain
from fdl.types import Batches, Learner, PyTree, State

EXAMPLES = 32  # So many say as much, in the memory of a small batch.

Measure = Callable[[State], Mapping[str, Mapping[str, Any]]]


def measuring(learner: Learner, batches: Batches, data: PyTree, seeds: int) -> Measure:
    """Measures each layer on the first examples of the first batch, always the same.

    Args:
      learner: Of one seed.
      batches: Of all seeds.
      data: Theirs, on the devices.
      seeds: How many.

    Returns:
      ``measure(state)``: "gradient" and "activation" of each layer, in their order, as
      floats or lists over seeds; see `fdl.layer_norms`.

    Raises:
      UserError: What the learner minimises is no function of a batch.
    """
    objective = learner.objective
    if objective is None:
        raise UserError(
            "config.layers_every: this learner has no one objective of a batch, whose "
            "gradient could be measured; set it to never"
        )

    def of_one(variables, batch):
        few = jax.tree.map(lambda x: x[:EXAMPLES], batch)
        return layer_norms(objective, variables, few)

    of_each = jax.vmap(of_one) if seeds > 1 else of_one

    @jax.jit
    def measure(variables, data, item):
        return of_each(variables, batches.take(data, item))

    first: list[PyTree] = []  # Only if it is asked for.

    def measured(state: State) -> dict[str, dict[str, Any]]:
        if not first:
            first.append(next(batches.stream(0)))
        found = jax.device_get(measure(state.variables, data, first[0]))
        kinds = ("gradient", "activation")
        return {
            kind: plain({n: getattr(norms, kind) for n, norms in found.items()})
            for kind in kinds
        }

    return measured


def layer_hook(measure: Measure, every: int, record: Record) -> Hook:
    """Writes down what `measuring` measures."""

    def write(step: int, carry: Carry) -> Carry:
        record.write_layers(step, measure(carry.state))
        return carry

    return Hook(every, write)
