"""Learning-rate-free optimizers: D-Adaptation, DoG and Prodigy."""

import functools
from collections.abc import Callable
from typing import Any

import optax
from optax import contrib

from fdl.optim.transforms.half_precision import at_least_float32


def in_float32(
    maker: Callable[..., optax.GradientTransformation],
) -> Callable[..., optax.GradientTransformationExtraArgs]:
    """Optimizer that computes in float32 whatever the type of the weights.

    These optimizers estimate the learning rate from sums over all weights and steps,
    which would lose their small terms in half precision.

    Args:
      maker: Function that makes the optimizer.

    Returns:
      A function with the signature of ``maker``.
    """

    @functools.wraps(maker)
    def make_wide(*args: Any, **kwargs: Any) -> optax.GradientTransformationExtraArgs:
        inner = optax.with_extra_args_support(maker(*args, **kwargs))

        def init(params):
            # Optax would make the state of the type of the weights, and change it to
            # float32 in the first update.
            return inner.init(at_least_float32(params))

        def update(updates, state, params=None, **extra):
            new_updates, state = inner.update(
                at_least_float32(updates), state, at_least_float32(params), **extra
            )
            return optax.tree.cast_like(new_updates, updates), state

        return optax.GradientTransformationExtraArgs(init, update)

    return make_wide


dadapt_adamw = in_float32(contrib.dadapt_adamw)
dog = in_float32(contrib.dog)
prodigy = in_float32(contrib.prodigy)
