"""Logging of the learning rate and the gradient norm inside of an optimizer."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from optax.contrib import ReduceLROnPlateauState

from fdl.optim.find import find
from fdl.optim.transforms.half_precision import at_least_float32
from fdl.types import Array, PyTree

SCALE = 2.0**-100  # By which no float32 has a square that overflows.


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

    It is finite where it is no larger than the largest float32, although the squares of
    numbers beyond 10¹⁹ are not.
    """
    tree = at_least_float32(tree)
    plain = optax.tree.norm(tree)

    def scaled():
        return optax.tree.norm(optax.tree.scale(SCALE, tree)) / SCALE

    # On the CPU a second norm costs as much as the first. Elsewhere both are read at
    # once, and a branch might wait for the host.
    return jax.lax.platform_dependent(
        cpu=lambda: jax.lax.cond(jnp.isinf(plain), scaled, lambda: plain),
        default=lambda: jnp.where(jnp.isinf(plain), scaled(), plain),
    )


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
