"""Averages of scores over classes."""

from collections.abc import Iterable

import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array


def check_average(average: str, known: Iterable[str], name: str = "average") -> None:
    """Raises `UserError` if an average is not one of the known ones.

    Args:
      average: Value of the argument.
      known: Names of the averages that are available.
      name: Name of the argument, for the error.
    """
    known = list(known)
    if average not in known:
        expected = ", ".join(map(repr, known))
        raise UserError(f"{name}={average!r}: expected one of {expected}")


def divide(numerator: Array, denominator: Array, undefined: float | None) -> Array:
    """Ratio, with another value, or NaN for None, where the denominator is zero.

    Args:
      numerator: Float [...].
      denominator: Float [...].
      undefined: Value where the denominator is zero; None stands for NaN.
    """
    # Two nested `where` instead of one keep 0 / 0, a NaN, out of the gradient.
    safe = jnp.where(denominator == 0, 1, denominator)
    otherwise = jnp.nan if undefined is None else undefined
    return jnp.where(denominator == 0, otherwise, numerator / safe)


def average_defined(scores: Array, weights: Array | None = None) -> Array:
    """Mean over the last axis, ignoring NaN; NaN if all scores are NaN.

    Args:
      scores: Scores of the classes, float [..., C].
      weights: Weights of the classes, float [..., C]. Default: equal weights, which
        also apply where the weights of all defined scores are zero.
    """
    defined = ~jnp.isnan(scores)
    used = defined.astype(scores.dtype)
    if weights is not None:
        weights = jnp.where(defined, weights, 0)
        # With weights of zero alone the mean would be 0 / 0, though scores are defined.
        empty = (weights == 0).all(axis=-1, keepdims=True)
        used = jnp.where(empty, used, weights)
    return jnp.where(defined, scores * used, 0).sum(axis=-1) / used.sum(axis=-1)
