"""What an optimizer knows and a log wants."""

from typing import NamedTuple

import jax.numpy as jnp
import optax
from optax.contrib import ReduceLROnPlateauState

from fdl.optim.find import find
from fdl.optim.transforms.half_precision import at_least_float32
from fdl.types import Array, PyTree


class LoggingState(NamedTuple):
    """What the last update was made with.

    Attributes:
      step: Number of updates, int32 [].
      learning_rate: Before what a plateau takes off, float32 [], or None.
      grad_norm: Of the gradients as they come, float32 [].
    """

    step: Array
    learning_rate: Array | None
    grad_norm: Array


def watch(schedule: optax.Schedule | None) -> optax.GradientTransformation:
    """Notes the learning rate and the norm of the gradients, and changes nothing.

    Args:
      schedule: Of the learning rate; None where there is none.
    """

    def rate(step):
        return None if schedule is None else jnp.asarray(schedule(step), jnp.float32)

    def init(params):
        del params
        step = jnp.zeros((), jnp.int32)
        return LoggingState(step, rate(step), jnp.zeros((), jnp.float32))

    def update(updates, state, params=None):
        del params
        size = norm(updates).astype(jnp.float32)
        return updates, LoggingState(state.step + 1, rate(state.step), size)

    return optax.GradientTransformation(init, update)


def norm(tree: PyTree) -> Array:
    """The norm of all arrays together, at least float32 []."""
    return optax.tree.norm(at_least_float32(tree))


def watched(state: optax.OptState) -> dict[str, Array]:
    """The learning rate and the norm of the gradients, where they are known."""
    seen = find(state, LoggingState)
    if seen is None:
        return {}
    found = {"grad_norm": seen.grad_norm}
    if seen.learning_rate is not None:
        plateau = find(state, ReduceLROnPlateauState)
        scale = 1 if plateau is None else plateau.scale
        found["learning_rate"] = seen.learning_rate * scale
    return found
