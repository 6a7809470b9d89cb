"""Logging of the learning rate and the gradient norm inside of an optimizer."""

from typing import NamedTuple

import jax.numpy as jnp
import optax
from optax.contrib import ReduceLROnPlateauState

from fdl.optim.find import find
from fdl.optim.transforms.half_precision import at_least_float32
from fdl.types import Array, PyTree


class LoggingState(NamedTuple):
    """Learning rate and gradient norm of the last update.

    Attributes:
      step: Number of updates, int32 [].
      learning_rate: Learning rate without the factor of a plateau, float32 [], or None.
      grad_norm: Global norm of the incoming gradients, float32 [].
    """

    step: Array
    learning_rate: Array | None
    grad_norm: Array


def record_update(schedule: optax.Schedule | None) -> optax.GradientTransformation:
    """Identity that stores the learning rate and the gradient norm in its state.

    Args:
      schedule: Learning rate schedule, or None where the optimizer has none.
    """

    def rate(step):
        return None if schedule is None else jnp.asarray(schedule(step), jnp.float32)

    def init(params):
        del params
        step = jnp.zeros((), jnp.int32)
        return LoggingState(step, rate(step), jnp.zeros((), jnp.float32))

    def update(updates, state, params=None):
        del params
        grad_norm = norm(updates).astype(jnp.float32)
        return updates, LoggingState(state.step + 1, rate(state.step), grad_norm)

    return optax.GradientTransformation(init, update)


def norm(tree: PyTree) -> Array:
    """Global norm of all arrays of a tree, float32 [] or wider.

    It is infinite beyond 10¹⁹, where squares leave float32: a norm that is scaled would
    read all parameters a second time in every step.
    """
    return optax.tree.norm(at_least_float32(tree))


def recorded_values(state: optax.OptState) -> dict[str, Array]:
    """Gradient norm and learning rate of the last update, by name.

    A name is missing where its value is unknown.
    """
    logged = find(state, LoggingState)
    if logged is None:
        return {}
    values = {"grad_norm": logged.grad_norm}
    if logged.learning_rate is not None:
        # A plateau scales updates in a transformation of its own.
        plateau = find(state, ReduceLROnPlateauState)
        scale = 1 if plateau is None else plateau.scale
        values["learning_rate"] = logged.learning_rate * scale
    return values
