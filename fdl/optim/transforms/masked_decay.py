"""Weight decay of some of the parameters, by optimizers that have no mask for it."""

import jax
import optax

from fdl.optim.masks import Mask


def masked_decay(
    decayed: optax.GradientTransformation,
    plain: optax.GradientTransformation,
    mask: Mask,
) -> optax.GradientTransformationExtraArgs:
    """Updates of an optimizer with weight decay where a mask is true, else without.

    For optimizers that scale the decay by a step size of their own and add it last, so
    that their state does not depend on it: Prodigy and D-Adaptation. XLA computes once
    what both have in common.

    Args:
      decayed: The optimizer with weight decay.
      plain: The same optimizer without.
      mask: Mask of the parameters that decay.
    """
    decayed, plain = map(optax.with_extra_args_support, (decayed, plain))

    def update(updates, state, params=None, **extra):
        without, _ = plain.update(updates, state, params, **extra)
        with_decay, state = decayed.update(updates, state, params, **extra)
        chosen = jax.tree.map(
            lambda yes, x, y: x if yes else y, mask(params), with_decay, without
        )
        return chosen, state

    return optax.GradientTransformationExtraArgs(decayed.init, update)
