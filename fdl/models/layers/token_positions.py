"""Positions and attention masks of tokens, with a cache for decoding."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from fdl.errors import UserError
from fdl.models.layers.masks import (
    mask_positions,
    padding_mask,
    segment_mask,
    segment_positions,
    window_mask,
)
from fdl.types import Array


class TokenPositions(nn.Module):
    """Positions of tokens, and the mask of the keys that they may attend to.

    While decoding, the padding of earlier calls is recorded in the collection
    ``cache``. Prompts of different lengths may therefore be padded at either end and
    decoded as one batch, each with the result that it has alone.

    Attributes:
      max_length: Number of tokens that the cache can hold.
      window: Number of last tokens that a token may attend to, itself included; all
        where None.
    """

    max_length: int
    window: int | None = None

    @nn.compact
    def __call__(
        self,
        tokens: Array,
        mask: Array | None = None,
        segments: Array | None = None,
        decode: bool = False,
    ) -> tuple[Array | None, Array]:
        """Computes the attention mask and the positions of tokens.

        Args:
          tokens: Token indices, int [B, T].
          mask: True for tokens, false for padding, bool [B, T]; no padding where None.
          segments: Segment numbers of packed sequences, int [B, T], zero for padding;
            one segment for each row where None.
          decode: Whether tokens continue the sequence in the cache.

        Returns:
          Attention mask, bool [B or 1, 1, T or 1, T], or [B, 1, T or 1, S] while
          decoding, of the S slots of the cache, or None where all is allowed; and
          positions, int [B or 1, T].

        Raises:
          UserError: Segments are combined with a mask or with decoding.
        """
        if segments is not None and (decode or mask is not None):
            raise UserError(
                "segments: expected neither a mask, as padding has segment 0, nor "
                "decode=True"
            )
        if decode:
            return self._decode(tokens, mask)
        if segments is not None:
            positions = segment_positions(segments)
            return self._near(segment_mask(segments), positions, positions), positions
        if mask is not None:
            positions = mask_positions(mask)
            return self._near(padding_mask(mask), positions, positions), positions
        positions = jnp.arange(tokens.shape[1])[None]
        if self.window is None or tokens.shape[1] <= self.window:
            return None, positions
        return window_mask(positions, positions, self.window), positions

    def _decode(self, tokens, mask):
        batch, length = tokens.shape
        if mask is None:
            mask = jnp.ones(tokens.shape, bool)
        shape = batch, self.max_length
        cached = self.variable("cache", "mask", jnp.zeros, shape, bool)
        # A cache that was made before may have another length.
        max_length = cached.value.shape[1]
        if length > max_length:
            raise UserError(
                f"max_length={max_length}: expected at least the {length} tokens that "
                "are decoded"
            )
        index = self.variable("cache", "index", jnp.zeros, (), jnp.int32)
        # Rows advance together in the cache, yet positions count only their own tokens.
        positions = cached.value.sum(axis=1, keepdims=True) + mask_positions(mask)
        # `init` runs on example tokens, which must not stay in the cache.
        if not self.is_initializing():
            update = lax.dynamic_update_slice_in_dim
            cached.value = update(cached.value, mask, index.value, axis=1)
            index.value += length
        slots = mask_positions(cached.value)
        return self._near(padding_mask(cached.value), positions, slots), positions

    def _near(self, mask, queries, keys):
        """Mask of the keys, without those before the window."""
        if self.window is None:
            return mask
        return mask & window_mask(queries, keys, self.window)
