"""Frozen parameters: parts of a model that are not trained."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import optax

from fdl.errors import UserError
from fdl.optim.masks import Mask, matching, merge
from fdl.types import Params


def frozen(patterns: str | Iterable[str]) -> Mask:
    """Mask of the parameters that are frozen by patterns.

    Args:
      patterns: One or several patterns; see `matching`.

    Raises:
      UserError: When the mask is used: a pattern matches no parameter, or all
        parameters are frozen.
    """
    patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)

    def mask(params):
        is_frozen = matching(patterns, "freeze")(params)
        if all(jax.tree.leaves(is_frozen)):
            raise UserError(f"freeze={list(patterns)} leaves nothing to learn")
        return is_frozen

    return mask


def freeze(
    inner: optax.GradientTransformation, mask: Mask
) -> optax.GradientTransformationExtraArgs:
    """Transformation of the trainable parameters only; frozen ones get no update.

    The inner transformation keeps no state for frozen parameters, and its norms do not
    count them; their updates are zero.

    Args:
      inner: Transformation of the gradients of the trainable parameters.
      mask: Mask of the frozen parameters.
    """
    # Not `optax.masked`: it passes the masked updates through, and the inner
    # transformation would call `value_fn` and `grad_fn` with only a part of the
    # parameters.
    inner = optax.with_extra_args_support(inner)

    def init(params):
        return inner.init(_without(params, mask(params)))

    def update(updates, state, params=None, **extra):
        if params is None:
            raise UserError(
                "params=None: expected the parameters, whose paths tell what is frozen"
            )
        out = mask(params)
        # The extra arguments of line searches and of sharpness-aware minimisation are
        # in terms of all parameters: the frozen ones are put back at their value.
        if "grad" in extra:
            extra["grad"] = _without(extra["grad"], out)
        if "value_fn" in extra:
            value_fn = extra["value_fn"]
            extra["value_fn"] = lambda part, grad_fn=None: value_fn(
                merge(part, params), grad_fn
            )
        if "grad_fn" in extra:
            grad_fn = extra["grad_fn"]
            extra["grad_fn"] = lambda part, i: _without(
                grad_fn(merge(part, params), i), out
            )
        # Not a product with zero, which is NaN where the gradient is not finite.
        zeros = jax.tree.map(jnp.zeros_like, updates)
        trainable = _without(updates, out)
        trainable, state = inner.update(
            trainable, state, _without(params, out), **extra
        )
        return merge(trainable, zeros), state

    return optax.GradientTransformationExtraArgs(init, update)


def _without(params: Params, mask) -> Params:
    # `MaskedNode` is a node without leaves, which every tree operation passes over.
    return jax.tree.map(lambda out, x: optax.MaskedNode() if out else x, mask, params)
