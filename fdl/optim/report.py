"""Report of an optimizer on its last update."""

from collections.abc import Mapping
from typing import NamedTuple

import optax

from fdl.optim.find import find
from fdl.optim.transforms.logging import recorded_values
from fdl.optim.transforms.skip_nonfinite import SkipNonfiniteState
from fdl.types import Array


class Report(NamedTuple):
    """Values that an optimizer knows of its last update.

    Attributes:
      metrics: Values to log by name, float32 []: ``learning_rate``, ``grad_norm``.
      accepted: True if the update was made, bool []; None if none is ever skipped.
      loss_scale: Factor of the next loss, float32 []; None without loss scaling.
    """

    metrics: Mapping[str, Array]
    accepted: Array | None = None
    loss_scale: Array | None = None


def report(opt_state: optax.OptState) -> Report:
    """Report of a chain by its state, whatever wrappers enclose its parts."""
    skipping = find(opt_state, SkipNonfiniteState)
    metrics = recorded_values(opt_state)
    if skipping is None:
        return Report(metrics)
    return Report(metrics, skipping.accepted, skipping.loss_scale)
