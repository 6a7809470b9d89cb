"""Precision of sums over weights and over steps."""

import jax
import optax

from fdl.losses import half_precision
from fdl.types import PyTree


def at_least_float32(tree: PyTree) -> PyTree:
    """Tree with arrays of half precision cast to float32; wider ones are unchanged.

    In half precision, squares overflow, and a running sum stops growing once a term is
    below its rounding error.
    """
    return jax.tree.map(half_precision.at_least_float32, tree)


def in_float32(
    inner: optax.GradientTransformation,
) -> optax.GradientTransformationExtraArgs:
    """Transformation that computes in float32, whatever the type of the parameters.

    In float16, the norm of a gradient overflows from 256 on, and Adam's ε and second
    moment vanish; in bfloat16, a second moment of decay 0.999 never changes.

    Args:
      inner: Transformation of gradients. Its state is in float32, and its updates are
        returned in the type of the gradients.
    """
    inner = optax.with_extra_args_support(inner)

    def init(params):
        return inner.init(at_least_float32(params))

    def update(updates, state, params=None, **extra):
        if "grad" in extra:
            extra["grad"] = at_least_float32(extra["grad"])
        if "value_fn" in extra:  # Of line searches, which call it with wide parameters.
            value_fn = extra["value_fn"]
            extra["value_fn"] = lambda wide, grad_fn=None: value_fn(
                optax.tree.cast_like(wide, params), grad_fn
            )
        new_updates, state = inner.update(
            at_least_float32(updates), state, at_least_float32(params), **extra
        )
        return optax.tree.cast_like(new_updates, updates), state

    return optax.GradientTransformationExtraArgs(init, update)
