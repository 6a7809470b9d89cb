"""What may attend to what: masks are true there, bool [B or 1, 1, T or 1, S]."""

import jax.numpy as jnp
from jax import lax

from fdl.types import Array


def causal_mask(length: int) -> Array:
    """Each token may attend to itself and to those before it; bool [1, 1, T, T].

    Example:
      >>> causal_mask(3).astype(int).squeeze()
      Array([[1, 0, 0],
             [1, 1, 0],
             [1, 1, 1]], dtype=int32)
    """
    return jnp.tril(jnp.ones((1, 1, length, length), bool))


def padding_mask(mask: Array) -> Array:
    """No token may attend to padding.

    Args:
      mask: bool [B, S], true where a token is.

    Returns:
      bool [B, 1, 1, S].
    """
    return mask[:, None, None, :]


def segment_mask(segments: Array, memory_segments: Array | None = None) -> Array:
    """Tokens may attend to those of their own segment: many texts share a row.

    Args:
      segments: Which segment a token belongs to, int [B, T]; zero where padding is.
      memory_segments: The same of what is attended to, int [B, S]; by default that
        is `segments`.

    Returns:
      bool [B, 1, T, S].

    Example:
      >>> segment_mask(jnp.array([[1, 2, 2, 0]])).astype(int).squeeze()
      Array([[1, 0, 0, 0],
             [0, 1, 1, 0],
             [0, 1, 1, 0],
             [0, 0, 0, 0]], dtype=int32)
    """
    if memory_segments is None:
        memory_segments = segments
    queries, keys = segments[:, None, :, None], memory_segments[:, None, None, :]
    return (queries == keys) & (queries != 0)


def segment_positions(segments: Array) -> Array:
    """Positions that begin anew in each segment, int [B, T].

    Args:
      segments: Which segment a token belongs to, int [B, T]; one after the other.

    Example:
      >>> segment_positions(jnp.array([[1, 1, 1, 2, 2, 0]]))
      Array([[0, 1, 2, 0, 1, 0]], dtype=int32)
    """
    places = jnp.broadcast_to(jnp.arange(segments.shape[1]), segments.shape)
    begins = jnp.diff(segments, axis=1, prepend=segments[:, :1]) != 0
    return places - lax.cummax(jnp.where(begins, places, 0), axis=1)


def mask_positions(mask: Array) -> Array:
    """Positions that count tokens and no padding, int [B, T].

    Args:
      mask: bool [B, T], true where a token is.

    Example:
      >>> mask_positions(jnp.array([[False, False, True, True, True]]))
      Array([[0, 0, 0, 1, 2]], dtype=int32)
    """
    return jnp.maximum(jnp.cumsum(mask, axis=1) - 1, 0)
