"""Where tokens are and which may be attended to, also from one call to the next."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from fdl.models.layers.masks import (
    mask_positions,
    padding_mask,
    segment_mask,
    segment_positions,
)
from fdl.types import Array


class TokenPositions(nn.Module):
    """What attention has to know of the tokens, but for what they are.

    While decoding, the collection ``cache`` keeps what was padding in earlier calls.
    So prompts of different lengths go together, with padding at either end, and each
    goes on as if it were alone.

    Attributes:
      max_length: Tokens for which the cache has room.
    """

    max_length: int

    @nn.compact
    def __call__(
        self,
        tokens: Array,
        mask: Array | None = None,
        segments: Array | None = None,
        decode: bool = False,
    ) -> tuple[Array | None, Array]:
        """What may be attended to, and positions.

        Args:
          tokens: int [B, T].
          mask: bool [B, T], true where a token is; everywhere where None.
          segments: Which text a token belongs to, int [B, T], zero where padding is;
            of one where None.
          decode: Whether they go on from what is in the cache.

        Returns:
          A mask, None or bool [B, 1, T or 1, T], or [B, 1, 1, max_length] while
          decoding; and positions, int [B or 1, T].
        """
        if segments is not None and (decode or mask is not None):
            raise ValueError("Segments know their padding, and cannot be decoded.")
        if decode:
            return self._go_on(tokens, mask)
        if segments is not None:
            return segment_mask(segments), segment_positions(segments)
        if mask is not None:
            return padding_mask(mask), mask_positions(mask)
        return None, jnp.arange(tokens.shape[1])[None]

    def _go_on(self, tokens, mask):
        (batch, length), room = tokens.shape, self.max_length
        if length > room:
            raise ValueError(f"max_length is {room}, but {length} tokens are decoded.")
        if mask is None:
            mask = jnp.ones(tokens.shape, bool)
        seen = self.variable("cache", "mask", jnp.zeros, (batch, room), bool)
        index = self.variable("cache", "index", jnp.zeros, (), jnp.int32)
        positions = seen.value.sum(axis=1, keepdims=True) + mask_positions(mask)
        if not self.is_initializing():
            update = lax.dynamic_update_slice_in_dim
            seen.value = update(seen.value, mask, index.value, axis=1)
            index.value += length
        return padding_mask(seen.value), positions
