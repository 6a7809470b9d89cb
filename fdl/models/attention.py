"""Attention."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer
from jax.typing import DTypeLike

from fdl.models.masks import causal_mask
from fdl.types import Array


class Attention(nn.Module):
    """Each token takes up what others hold, by how well its query fits their keys.

    softmax(Q Kᵀ / √H) V in each head. Queries that may attend to nothing get zeros.
    Intermediates: ``weights``, what attends to what, float [B, N, T, S].

    For decoding, keys and values of earlier tokens are kept in the collection
    ``cache``, and need not be computed again; those of a memory are. A call without a
    cache begins one: it takes a whole prompt, and each next call one token or several.
    There is room for `max_length` tokens, and no more than these may ever be decoded.

    Attributes:
      num_heads: Heads, N.
      num_kv_heads: Heads of the keys and values, K, each for an equal part of the
        queries' heads; as many as those where None.
      head_size: Size of a head, H; that of a token by `num_heads` where None.
      use_bias: Whether queries, keys and values have a bias.
      out_bias: Whether the outputs have one.
      rotary_base: If not None, positions are told by rotating queries and keys: the
        longest wave length by 2π.
      dropout: Fraction of the weights that is dropped in training.
      max_length: Tokens for which the cache has room.
      kernel_init: Initialiser of queries, keys and values.
      out_init: Initialiser of the outputs; `kernel_init` where None.
      dtype: What is computed in; that of inputs and parameters where None. The
        softmax is float32.
      param_dtype: What parameters are stored in.

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_,
      2017.

      Ainslie et al., `GQA: Training Generalized Multi-Query Transformer Models from
      Multi-Head Checkpoints <https://arxiv.org/abs/2305.13245>`_, 2023.
    """

    num_heads: int
    num_kv_heads: int | None = None
    head_size: int | None = None
    use_bias: bool = True
    out_bias: bool = True
    rotary_base: float | None = None
    dropout: float = 0.0
    max_length: int | None = None
    kernel_init: Initializer = nn.initializers.xavier_uniform()
    out_init: Initializer | None = None
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self,
        x: Array,
        train: bool,
        memory: Array | None = None,
        *,
        mask: Array | None = None,
        causal: bool = False,
        positions: Array | None = None,
        decode: bool = False,
    ) -> Array:
        """Maps tokens x to what they took up, float [B, T, D].

        Args:
          x: float [B, T, D].
          train: Whether it is training.
          memory: What is attended to, float [B, S, E]; by default x itself.
          mask: True where a query may attend to a key, bool, of a shape that
            broadcasts to [B, N, T, S]; S is `max_length` while decoding.
          causal: Whether no token attends to a later one; never while decoding.
          positions: Where each token is, int [B, T], for rotations; by default from 0
            on, or from the last one in the cache.
          decode: Whether x continues what is in the cache.
        """
        query, key, value = self._project(x, x if memory is None else memory)
        own = memory is None  # Rotated and remembered; a memory is there as a whole.
        start: Array | int = 0
        if decode and own:
            start = self._cache_index(key)
        if self.rotary_base is not None and own:
            if positions is None:
                positions = start + jnp.arange(x.shape[1])[None]
            query = rotate(query, positions, self.rotary_base)
            key = rotate(key, positions, self.rotary_base)
        if decode and own:
            key, value, seen = self._remember(key, value)
            mask = seen if mask is None else mask & seen
        elif causal:
            mask = 1
        outputs = self._attend(query, key, value, mask, causal, train)
        return self.out
