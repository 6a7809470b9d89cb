"""Parameters that stay as they are."""

from collections.abc import Iterable

import jax
import optax

from fdl.errors import UserError
from fdl.optim.masks import Mask, matching
from fdl.optim.transforms.averaging import merge
from fdl.types import Params


def frozen(patterns: str | Iterable[str]) -> Mask:
    """A mask of the parameters that are frozen by patterns; see `matching`.

    Raises:
      UserError: When the mask is used: a pattern freezes nothing, or all are frozen.
    """
    patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)

    def mask(params):
        chosen = matching(patterns, "freeze")(params)
        if all(jax.tree.leaves(chosen)):
            raise UserError(f"freeze={list(patterns)} leaves nothing to learn")
        return chosen

    return mask


def freeze(
    inner: optax.GradientTransformation, mask: Mask
) -> optax.GradientTransformationExtraArgs:
    """Shows a transformation only the parameters that are not frozen.

    It keeps no state for the others, and its norms do not count them; their updates
    are zero.

    Args:
      inner: What to make of the gradients of the rest.
      mask: What is frozen.
    """
    inner = optax.with_extra_args_support(inner)

    def init(params):
        return inner.init(_without(params, mask(params)))

    def update(updates, state, params=None, **extra):
        if params is None:
            raise ValueError(
                "freeze goes by the paths of parameters: update needs them"
            )
        out = mask(params)
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
        zeros = jax.tree.map(lambda x: x * 0, updates)
        part = _without(updates, out)
        part, state = inner.update(part, state, _without(params, out), **extra)
        return merge(part, zeros), state

    return optax.GradientTransformationExtraArgs(init, update)


def _without(params: Params, mask) -> Params:
    return jax.tree.map(lambda out, x: optax.MaskedNode() if out else x, mask, params)
