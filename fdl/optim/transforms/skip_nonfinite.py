"""Skipping of non-finite gradients, and dynamic loss scaling."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from fdl.errors import UserError
from fdl.types import Array

GROWTH_EVERY = 2000  # Steps without overflow before the scale is doubled; PyTorch's.
LARGEST_SCALE = 2.0**127  # Twice as much is infinite in float32.


class SkipNonfiniteState(NamedTuple):
    """State of `skip_nonfinite_updates`.

    Attributes:
      accepted: True if the last step was taken, bool [].
      skipped: Number of consecutive steps skipped up to the last one, int32 [].
      loss_scale: Factor of the next loss, float32 [], or None without loss scaling.
      good_steps: Number of finite steps since the last change of the scale, int32 [].
      inner: State of the inner transformation.
    """

    accepted: Array
    skipped: Array
    loss_scale: Array | None
    good_steps: Array
    inner: optax.OptState


def skip_nonfinite_updates(
    inner: optax.GradientTransformation,
    *,
    skip_nonfinite: int = 0,
    loss_scale: float | None = None,
    growth_every: int = GROWTH_EVERY,
) -> optax.GradientTransformationExtraArgs:
    """Skipping of non-finite gradients, with optional dynamic loss scaling.

    An update whose gradients contain a NaN or an infinity is zero, and leaves the inner
    state unchanged.

    With a loss scale, `gradient_step` multiplies the loss by it, so that small
    gradients do not underflow in float16, and divides the gradients by it before any
    other use. The scale is doubled after ``growth_every`` finite steps, and halved when
    gradients overflow; such steps are skipped as long as the scale is above one.

    Args:
      inner: Transformation of finite gradients.
      skip_nonfinite: Maximum number of consecutive steps to skip; the next non-finite
        one is let through.
      loss_scale: Initial loss scale, at least 1; it grows up to 2^127. Default: no loss
        scaling.
      growth_every: Number of finite steps after which the scale is doubled.

    Raises:
      UserError: ``skip_nonfinite`` is negative, or ``loss_scale`` below 1 or infinite.

    References:
      Micikevicius et al., `Mixed Precision Training
      <https://arxiv.org/abs/1710.03740>`_, 2017.
    """
    if skip_nonfinite < 0:
        raise UserError(f"skip_nonfinite={skip_nonfinite}: expected at least 0")
    if loss_scale is not None and not 1 <= loss_scale < LARGEST_SCALE:
        raise UserError(f"loss_scale={loss_scale}: expected at least 1, and finite")
    inner = optax.with_extra_args_support(inner)

    def init(params):
        zero = jnp.zeros((), jnp.int32)
        scale = None if loss_scale is None else jnp.float32(loss_scale)
        # The second zero is a copy: the state is donated, and no buffer may be twice.
        return SkipNonfiniteState(
            jnp.array(True), zero, scale, zero + 0, inner.init(params)
        )

    def update(updates, state, params=None, **extra):
        finite = jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(updates)])
        finite = finite.all()
        # A step that is let through makes the metrics NaN, so that the run ends rather
        # than going on without learning.
        exhausted = state.skipped >= skip_nonfinite
        if state.loss_scale is not None:
            # Above one, the overflow may be that of the scale, which is halved first.
            exhausted &= state.loss_scale <= 1
        accepted = finite | exhausted

        def take():
            new_updates, new_inner = inner.update(updates, state.inner, params, **extra)
            # Both branches of the condition need the same types, and a learning rate
            # of float32 makes updates wider than gradients of half precision.
            return optax.tree.cast_like(new_updates, updates), new_inner

        # A condition rather than a selection, so that the inner update, and a second
        # gradient or a line search in it, is not computed from non-finite gradients.
        updates, new_inner = jax.lax.cond(
            accepted, take, lambda: (optax.tree.zeros_like(updates), state.inner)
        )
        skipped = jnp.where(accepted, 0, state.skipped + 1)
        scale, good_steps = _next_scale(state, finite, growth_every)
        return updates, SkipNonfiniteState(
            accepted, skipped, scale, good_steps, new_inner
        )

    return optax.GradientTransformationExtraArgs(init, update)


def _next_scale(state: SkipNonfiniteState, finite: Array, growth_every: int):
    """Next loss scale, and the number of finite steps since its last change."""
    if state.loss_scale is None:
        return None, state.good_steps
    good_steps = jnp.where(finite, state.good_steps + 1, 0)
    grown = good_steps == growth_every
    # Below one, a scale would make the underflow worse that it is there to prevent.
    smaller = jnp.maximum(state.loss_scale / 2, 1)
    # An infinite scale would make every gradient infinite or NaN, and never fall again.
    doubled = jnp.minimum(state.loss_scale, LARGEST_SCALE / 2) * 2
    larger = jnp.where(grown, doubled, state.loss_scale)
    return jnp.where(finite, larger, smaller), jnp.where(grown, 0, good_steps)
