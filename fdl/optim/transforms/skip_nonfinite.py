"""What to do with gradients that are not finite."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from fdl.errors import UserError
from fdl.optim.find import find
from fdl.types import Array

GROWTH_EVERY = 2000  # Steps without overflow before the scale is doubled; PyTorch's.


class SkipNonfiniteState(NamedTuple):
    """What became of the last step.

    Attributes:
      accepted: Whether it was taken, bool [].
      skipped: How many in a row were not, int32 [].
      loss_scale: What the next loss is to be multiplied with, float32 [], or None.
      good_steps: Finite ones since the scale was changed, int32 [].
      inner: State of what is guarded.
    """

    accepted: Array
    skipped: Array
    loss_scale: Array | None
    good_steps: Array
    inner: optax.OptState


def guard(
    inner: optax.GradientTransformation,
    *,
    skip_nonfinite: int = 0,
    loss_scale: float | None = None,
    growth_every: int = GROWTH_EVERY,
) -> optax.GradientTransformationExtraArgs:
    """Skips updates whose gradients have a NaN or an infinity in them.

    A skipped update is zero, and leaves the state of what is guarded as it was.

    With a loss scale, losses are multiplied by it, so that small gradients of float16
    are no zeros, and gradients are divided by it: both by `gradient_step`, before
    anything else sees them. It is doubled after a while, and halved where gradients
    overflow; these steps are skipped until the scale is one.

    Args:
      inner: What to make of finite gradients.
      skip_nonfinite: How many steps in a row to skip before one is let through.
      loss_scale: The first.
      growth_every: After how many finite steps it is doubled.

    Raises:
      UserError: These are no numbers of steps, or no scale.

    References:
      Micikevicius et al., `Mixed Precision Training
      <https://arxiv.org/abs/1710.03740>`_, 2017.
    """
    if skip_nonfinite < 0:
        raise UserError(f"skip_nonfinite={skip_nonfinite}: expected at least 0")
    if loss_scale is not None and loss_scale < 1:
        raise UserError(f"loss_scale={loss_scale}: expected at least 1")
    inner = optax.with_extra_args_support(inner)

    def init(params):
        zero = jnp.zeros((), jnp.int32)
        scale = None if loss_scale is None else jnp.float32(loss_scale)
        return SkipNonfiniteState(
            jnp.array(True), zero, scale, zero + 0, inner.init(params)
        )

    def update(updates, state, params=None, **extra):
        finite = jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(updates)])
        finite = finite.all()
        given_up = state.skipped >= skip_nonfinite
        if state.loss_scale is not None:
            given_up &= state.loss_scale <= 1
        accepted = finite | given_up

        def take():
            taken, after = inner.update(updates, state.inner, params, **extra)
            # A rate that changes is float32: what it scales may be wider than weights.
            return optax.tree.cast_like(taken, updates), after

        updates, new_inner = jax.lax.cond(
            accepted, take, lambda: (optax.tree.zeros_like(updates), state.inner)
        )
        skipped = jnp.where(accepted, 0, state.skipped + 1)
        scale, good_steps = _rescaled(state, finite, growth_every)
        return updates, SkipNonfiniteState(
            accepted, skipped, scale, good_steps, new_inner
        )

    return optax.GradientTransformationExtraArgs(init, update)


def loss_scale(state: optax.OptState) -> Array | None:
    """What the loss is to be multiplied with, float32 [], or None for one."""
    found = find(state, SkipNonfiniteState)
    return None if found is None else found.loss_scale


def accepted(state: optax.OptState) -> Array | None:
    """Whether the last step was taken, bool []; or None where all are."""
    found = find(state, SkipNonfiniteState)
    return None if found is None else found.accepted


def _rescaled(state: SkipNonfiniteState, finite: Array, growth_every: int):
    """The next scale, and how many good steps it has seen."""
    if state.loss_scale is None:
        return None, state.good_steps
    good_steps = jnp.where(finite, state.good_steps + 1, 0)
    grown = good_steps == growth_every
    smaller = jnp.maximum(state.loss_scale / 2, 1)
    larger = jnp.where(grown, state.loss_scale * 2, state.loss_scale)
    return jnp.where(finite, larger, smaller), jnp.where(grown, 0, good_steps)
