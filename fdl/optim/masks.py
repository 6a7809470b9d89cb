"""Masks of parameters, by patterns on their paths."""

from collections.abc import Callable, Iterable

import jax
import optax

from fdl.trees import check_patterns, matches, path_name
from fdl.types import Params, PyTree

Mask = Callable[[Params], PyTree]  # From parameters to a tree of bools.

# Biases and gains are few and do not overfit; shrinking them towards zero would shift
# or silence units rather than regularise. Flax calls the gain of a norm `scale`.
NOT_DECAYED = ("bias", "scale")  # Endings of the names of leaves, not of modules.


def matching(patterns: str | Iterable[str], key: str | None = None) -> Mask:
    """Mask of the parameters whose path matches any of the patterns.

    The path of a parameter is that of its leaf, such as ``encoder/dense_0/kernel``. A
    pattern matches one or more consecutive names anywhere in the path: ``bias`` all
    biases, ``encoder`` all parameters of the encoder, ``layer_[01]/kernel`` the kernels
    of the first two layers; ``*`` matches any text, slashes included.

    Args:
      patterns: One or several patterns in the syntax of `fnmatch`.
      key: Name of the option that they are from, for the error message; without it, a
        pattern may match no parameter.

    Raises:
      UserError: When the mask is used: a pattern matches no parameter.

    Example:
      >>> params = {"dense": {"kernel": 1.0, "bias": 0.0}, "head": {"kernel": 2.0}}
      >>> matching(["dense/kernel", "head"])(params)
      {'dense': {'bias': False, 'kernel': True}, 'head': {'kernel': True}}
    """
    patterns = (patterns,) if isinstance(patterns, str) else tuple(patterns)

    def mask(params):
        if key is not None:
            check_patterns(patterns, paths(params), key)
        return jax.tree.map_with_path(
            lambda path, _: any(matches(path_name(path), p) for p in patterns), params
        )

    return mask


def others(mask: Mask) -> Mask:
    """Complement of a mask."""
    return lambda params: jax.tree.map(lambda chosen: not chosen, mask(params))


def both(one: Mask, other: Mask) -> Mask:
    """Intersection of two masks."""
    return lambda params: jax.tree.map(lambda x, y: x and y, one(params), other(params))


def everything(params: Params) -> PyTree:
    """Mask of all parameters."""
    return jax.tree.map(lambda _: True, params)


def weights(params: Params) -> PyTree:
    """Mask of all parameters except biases, gains of normalisation layers, scalars.

    Biases and gains are those whose own name ends in ``bias`` or ``scale``, whatever
    the names of their modules.
    """
    return jax.tree.map_with_path(
        lambda path, x: x.ndim > 0 and not path_name(path).endswith(NOT_DECAYED), params
    )


def paths(params: Params) -> list[str]:
    """Paths of all parameters, masked ones included, in the order of their leaves."""
    leaves = jax.tree.leaves_with_path(params, is_leaf=_masked)
    return [path_name(path) for path, _ in leaves]


def split(whole: Params, like: Params) -> Params:
    """Parameters with those masked that are masked in another tree.

    Args:
      whole: All parameters.
      like: A tree of the same structure, with `optax.MaskedNode` in place of some.
    """
    return jax.tree.map(
        lambda part, x: part if _masked(part) else x, like, whole, is_leaf=_masked
    )


def merge(part: Params, whole: Params) -> Params:
    """Parameters of a masked tree, its masked leaves filled in from a full tree.

    Args:
      part: A tree with `optax.MaskedNode` in place of some parameters.
      whole: All parameters.
    """
    return jax.tree.map(
        lambda part, x: x if _masked(part) else part, part, whole, is_leaf=_masked
    )


def _masked(x) -> bool:
    return isinstance(x, optax.MaskedNode)
