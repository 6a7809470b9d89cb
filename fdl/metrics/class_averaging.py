"""How the scores of classes become one number."""

from collections.abc import Iterable

import jax.numpy as jnp

from fdl.errors import UserError, near
from fdl.types import Array


def check_average(average: str, known: Iterable[str]) -> None:
    """Raises `UserError` if it is not one of the known averages."""
    known = list(known)
    if average not in known:
        raise UserError(f"average is {average!r}. {near(str(average), known)}")


def divide(numerator: Array, denominator: Array, undefined: float | None) -> Array:
    """The ratio; another value, or NaN for None, where the denominator is zero."""
    safe = jnp.where(denominator == 0, 1, denominator)
    otherwise = jnp.nan if undefined is None else undefined
    return jnp.where(denominator == 0, otherwise, numerator / safe)


def average_defined(scores: Array, weights: Array | None = None) -> Array:
    """The mean over the last axis of what is not NaN; NaN if all of it is.

    Args:
      scores: Float [..., C].
      weights: Float [..., C]. Where those of all that is defined are zero, as without
        any: all weigh the same.
    """
    defined = ~jnp.isnan(scores)
    ones = defined.astype(scores.dtype)
    if weights is not None:
        weights = jnp.where(defined, weights, 0)
        empty = (weights == 0).all(axis=-1, keepdims=True)
        ones = jnp.where(empty, ones, weights)
    return jnp.where(defined, scores * ones, 0).sum(axis=-1) / ones.sum(axis=-1)
