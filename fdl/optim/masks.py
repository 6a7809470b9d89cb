"""Which parameters are meant: patterns on their paths."""

import fnmatch
from collections.abc import Callable, Iterable

import jax

from fdl.errors import UserError, near
from fdl.trees import named_leaves, path_name
from fdl.types import Params, PyTree

Mask = Callable[[Params], PyTree]  # Of params, to a tree of bools.

NOT_DECAYED = ("*bias", "*scale")  # Biases, and the gains of norms and layers.


def matching(patterns: str | Iterable[str], key: str | None = None) -> Mask:
    """A mask of the parameters whose path any of the patterns matches.

    The path of a parameter is that of its leaf, such as ``encoder/dense_0/kernel``. A
    pattern matches whole names that follow each other anywhere in it: ``bias`` all
    biases, ``encoder`` all that is in the encoder, ``layer_[01]/kernel`` the kernels
    of the first two layers; ``*`` stands for anything, slashes included.

    Args:
      patterns: One or several, as `fnmatch` reads them.
      key: What asks for them, for the message; without it, a pattern may match nothing.

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
            _check(patterns, paths(params), key)
        return jax.tree.map_with_path(
            lambda path, _: any(_matches(path_name(path), p) for p in patterns), params
        )

    return mask


def others(mask: Mask) -> Mask:
    """The parameters that a mask leaves out."""
    return lambda params: jax.tree.map(lambda chosen: not chosen, mask(params))


def both(one: Mask, other: Mask) -> Mask:
    """The parameters that two masks have in common."""
    return lambda params: jax.tree.map(lambda x, y: x and y, one(params), other(params))


def everything(params: Params) -> PyTree:
    """All parameters."""
    return jax.tree.map(lambda _: True, params)


def weights(params: Params) -> PyTree:
    """The parameters but for biases, the gains of norms, and scalars."""
    named = matching(NOT_DECAYED)(params)
    return jax.tree.map(lambda x, out: x.ndim > 0 and not out, params, named)


def paths(params: Params) -> list[str]:
    """The paths of all parameters."""
    return [*named_leaves(params)]


def _matches(path: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(f"/{path}/", f"*/{pattern.strip('/')}/*")


def _check(patterns: tuple[str, ...], names: list[str], key: str) -> None:
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in names):
            parts = {"/".join(n.split("/")[:i]) for n in names for i in range(1, 9)}
            parts |= {part for n in names for part in n.split("/")}
            hint = near(pattern, parts)
            raise UserError(f"{key}: {pattern!r} matches no parameter. {hint}")
