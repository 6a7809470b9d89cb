"""Optimizers that estimate a learning rate, from sums over all weights and steps."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax import contrib


def in_float32(
    maker: Callable[..., optax.GradientTransformation],
) -> Callable[..., optax.GradientTransformationExtraArgs]:
    """The same optimizer, which reckons in float32 whatever the weights are.

    In half precision such sums would stand still, and optax changes their type in the
    first step.

    Args:
      maker: Of the optimizer; its arguments stay what they are.
    """

    @functools.wraps(maker)
    def made(*args: Any, **kwargs: Any) -> optax.GradientTransformationExtraArgs:
        inner = optax.with_extra_args_support(maker(*args, **kwargs))

        def init(params):
            return inner.init(_wide(params))

        def update(updates, state, params=None, **extra):
            found, state = inner.update(_wide(updates), state, _wide(params), **extra)
            return optax.tree.cast_like(found, updates), state

        return optax.GradientTransformationExtraArgs(init, update)

    return made


dadapt_adamw = in_float32(contrib.dadapt_adamw)
dog = in_float32(contrib.dog)
prodigy = in_float32(contrib.prodigy)


def _wide(tree):
    return jax.tree.map(lambda x: x.astype(jnp.promote_types(x.dtype, "float32")), tree)
