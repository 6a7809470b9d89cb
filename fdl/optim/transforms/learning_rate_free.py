"""Optimizers that estimate a learning rate, from sums over all weights and steps."""

import functools
from collections.abc import Callable
from typing import Any

import optax
from optax import contrib

from fdl.optim.transforms.half_precision import at_least_float32


def in_float32(
    maker: Callable[..., optax.GradientTransformation],
) -> Callable[..., optax.GradientTransformationExtraArgs]:
    """The same optimizer, which reckons in float32 whatever the weights are.

    In half precision its sums would stand still, and optax changes their type in the
    first step.

    Args:
      maker: Of the optimizer; its arguments stay what they are.
    """

    @functools.wraps(maker)
    def made(*args: Any, **kwargs: Any) -> optax.GradientTransformationExtraArgs:
        inner = optax.with_extra_args_support(maker(*args, **kwargs))

        def init(params):
            return inner.init(at_least_float32(params))

        def update(updates, state, params=None, **extra):
            wide = at_least_float32(updates), state, at_least_float32(params)
            found, state = inner.update(*wide, **extra)
            return optax.tree.cast_like(found, updates), state

        return optax.GradientTransformationExtraArgs(init, update)

    return made


dadapt_adamw = in_float32(contrib.dadapt_adamw)
dog = in_float32(contrib.dog)
prodigy = in_float32(contrib.prodigy)
