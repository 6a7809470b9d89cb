"""Attention masks, bool [B or 1, 1, T or 1, S]: true where attention is allowed."""

import jax.numpy as jnp
from jax import lax

from fdl.types import Array


def causal_mask(length: int) -> Array:
    """Causal mask, bool [1, 1, T, T]: tokens attend to themselves and earlier ones.

    Args:
      length: Number of tokens, T.

    Example:
      >>> causal_mask(3).astype(int).squeeze()
      Array([[1, 0, 0],
             [1, 1, 0],
             [1, 1, 1]], dtype=int32)
    """
    return jnp.tril(jnp.ones((1, 1, length, length), bool))


def padding_mask(mask: Array) -> Array:
    """Padding mask: no token may attend to padding.

    Args:
      mask: True for tokens, false for padding, bool [B, S].

    Returns:
      bool [B, 1, 1, S].
    """
    return mask[:, None, None, :]


def window_mask(queries: Array, keys: Array, window: int) -> Array:
    """Sliding-window mask: tokens attend to the last `window` ones; later ones as well.

    Args:
      queries: Positions of the queries, int [B, T].
      keys: Positions of the keys, int [B, S].
      window: Number of tokens, the query's own included.

    Returns:
      bool [B, 1, T, S].

    Example:
      >>> positions = jnp.arange(4)[None]
      >>> window_mask(positions, positions, 2).astype(int).squeeze()
      Array([[1, 1, 1, 1],
             [1, 1, 1, 1],
             [0, 1, 1, 1],
             [0, 0, 1, 1]], dtype=int32)

    References:
      Jiang et al., `Mistral 7B <https://arxiv.org/abs/2310.06825>`_, 2023.
    """
    return queries[:, None, :, None] - keys[:, None, None, :] < window


def segment_mask(segments: Array, memory_segments: Array | None = None) -> Array:
    """Segment mask for sequence packing: tokens attend within their own segment.

    Args:
      segments: Segment numbers of the queries, int [B, T]; zero for padding.
      memory_segments: Segment numbers of the keys, int [B, S]; `segments` where None.

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
    """Positions within each segment of packed sequences, int [B, T].

    Args:
      segments: Segment numbers, int [B, T]; tokens of a segment are contiguous.

    Example:
      >>> segment_positions(jnp.array([[1, 1, 1, 2, 2, 0]]))
      Array([[0, 1, 2, 0, 1, 0]], dtype=int32)
    """
    columns = jnp.broadcast_to(jnp.arange(segments.shape[1]), segments.shape)
    starts = jnp.diff(segments, axis=1, prepend=segments[:, :1]) != 0
    # The running maximum carries the first column of a segment to all its tokens.
    return columns - lax.cummax(jnp.where(starts, columns, 0), axis=1)


def mask_positions(mask: Array) -> Array:
    """Positions of tokens, not counting padding, int [B, T].

    Args:
      mask: True for tokens, false for padding, bool [B, T].

    Example:
      >>> mask_positions(jnp.array([[False, False, True, True, True]]))
      Array([[0, 0, 0, 1, 2]], dtype=int32)
    """
    # Padding on the left would be at -1, which no table of positions has.
    return jnp.maximum(jnp.cumsum(mask, axis=1) - 1, 0)


def last_token(x: Array, mask: Array | None = None) -> Array:
    """Features of the last token of each row, float [B, 1, D].

    Args:
      x: Features of tokens, float [B, T, D].
      mask: True for tokens, false for padding, bool [B, T]; no padding where None.

    Example:
      >>> x = jnp.arange(6.0).reshape(2, 3, 1)
      >>> last_token(x, jnp.array([[True, True, False], [True, True, True]])).ravel()
      Array([1., 5.], dtype=float32)
    """
    if mask is None:
        return x[:, -1:]
    # The first of the largest: a row of padding alone has no last token.
    last = jnp.where(mask, jnp.arange(mask.shape[1])[None], -1).argmax(axis=1)
    return jnp.take_along_axis(x, last[:, None, None], axis=1)
