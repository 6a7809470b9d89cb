"""Attention."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.nn.initializers import Initializer
from jax.typing import DTypeLike

from fdl.models.layers.dense import dense
from fdl.models.layers.masks import causal_mask
from fdl.models.layers.position_encodings import rotate
from fdl.types import Array


class Attention(nn.Module):
    """Each token takes up what others hold, by how well its query fits their keys.

    softmax(Q Kᵀ / √H) V in each head. Queries that may attend to nothing get zeros.
    Intermediates: ``weights``, what attends to what, float [B, N, T, S].

    For decoding, the keys and values of earlier tokens are kept in the collection
    ``cache``; those of a memory are computed again. A call without a cache begins one:
    it takes a whole prompt, and each next call one token or several. There is room for
    `max_length` tokens, and no more may ever be decoded.

    Attributes:
      num_heads: Heads, N.
      num_kv_heads: Heads of the keys and values, each for an equal share of the heads
        of the queries; as many as those where None.
      head_size: Size of a head, H; that of a query by `num_heads` where None.
      use_bias: Whether queries, keys and values have a bias.
      out_bias: Whether the outputs have one.
      rotary_base: Where not None, queries and keys are rotated by their positions, as
        `positions.rotate` does; those of a memory are not.
      dropout: Fraction of the weights that is dropped in training.
      max_length: Tokens for which the cache has room.
      kernel_init: Initialiser of queries, keys and values.
      out_init: Initialiser of the outputs; `kernel_init` where None.
      dtype: What is computed in, but for the softmax; that of inputs and parameters
        where None.
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
        """Maps tokens x to what they take up, float [B, T, D].

        Args:
          x: float [B, T, D].
          train: Whether it is training.
          memory: What is attended to, float [B, S, E]; x itself where None.
          mask: True where a query may attend to a key, bool [B or 1, N or 1, T or 1,
            S]. While decoding, S is `max_length`: what came first stands first.
          causal: Whether a token may attend only to itself and to those before it;
            while decoding, it always is so.
          positions: Where each token is, int [B or 1, T], for the rotations; by default
            they begin at 0, or go on from where the cache ends.
          decode: Whether x goes on from what is in the cache.
        """
        attended = x if memory is None else memory
        query, key, value = self._project(x, attended)
        itself = memory is None
        index = self._index() if decode and itself else None
        if self.rotary_base is not None and itself:
            if positions is None:
                start = 0 if index is None else index.value
                positions = start + jnp.arange(x.shape[1])[None]
            query = rotate(query, positions, self.rotary_base)
            key = rotate(key, positions, self.rotary_base)
        if index is not None:
            key, value, seen = self._remember(key, value, index)
            mask, causal = seen if mask is None else mask & seen, False
        outputs = self._attend(query, key, value, mask, causal and itself, train)
        return dense(
            x.shape[-1],
            use_bias=self.out_bias,
            kernel_init=self.out_init or self.kernel_init,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name="out",
        )(outputs.reshape(*x.shape[:2], -1))

    def _project(self, x, attended):
        num_heads, num_kv_heads = self.num_heads, self.num_kv_heads or self.num_heads
        size = self.head_size or x.shape[-1] // num_heads
        if self.head_size is None and x.shape[-1] % num_heads:
            raise ValueError(
                f"num_heads is {num_heads}, but a token has {x.shape[-1]} features."
            )
        if num_heads % num_kv_heads:
            raise ValueError(
                f"num_heads is {num_heads}, but num_kv_heads is {num_kv_heads}: "
                "they share equally."
            )

        def heads(x, num_heads, name):
            y = dense(
                num_heads * size,
                use_bias=self.use_bias,
                kernel_init=self.kernel_init,
                dtype=self.dtype,
                param_dtype=self.param_dtype,
                name=name,
            )(x)
            return y.reshape(*x.shape[:2], num_heads, size)

        return (
            heads(x, num_heads, "query"),
            heads(attended, num_kv_heads, "key"),
            heads(attended, num_kv_heads, "value"),
        )

    def _index(self):
        """How many tokens the cache has."""
        return self.variable("cache", "cache_index", jnp.zeros, (), jnp.int32)

    def _remember(self, key, value, index):
        """All keys and values so far, and which of them each query comes after."""
        length, room = key.shape[1], self.max_length
        if room is None or length > room:
            raise ValueError(f"max_length is {room}, but {length} tokens are decoded.")
        shape = (key.shape[0], room, *key.shape[2:])
        keys = self.variable("cache", "cached_key", jnp.zeros, shape, key.dtype)
        values = self.variable("cache", "cached_value", jnp.zeros, shape, value.dtype)
        start = index.value
        if not self.is_initializing():
            update = lax.dynamic_update_slice_in_dim
            keys.value = update(keys.value, key, start, axis=1)
            values.value = update(values.value, value, start, axis=1)
            index.value = start + length
        places = start + jnp.arange(length)[None, None, :, None]
        return keys.value, values.value, jnp.arange(room)[None, None, None] <= places

    def _attend(self, query, key, value, mask, causal, train):
        """What each head of a query takes up, float [B, T, N, H]."""
        if causal and mask is not None:
            mask, causal = mask & causal_mask(query.shape[1]), False
        asked = self.is_mutable_collection("intermediates")
        asked = asked and not self.is_initializing()
        exact = query.dtype == jnp.float64  # JAX's own has its softmax in float32.
        if asked or exact or (train and self.dropout > 0):
            if causal:
                mask = causal_mask(query.shape[1])
            weights = attention_weights(query, key, mask)
            self.sow("intermediates", "weights", weights)
            weights = nn.Dropout(self.dropout, deterministic=not train)(weights)
            return weighted_values(weights, value)
        return fused_attention(query, key, value, mask, causal)


def fused_attention(
    query: Array, key: Array, value: Array, mask: Array | None, causal: bool
) -> Array:
    """`jax.nn.dot_product_attention`, with zeros where there is nothing to attend to.

    Args:
      query: float [B, T, N, H].
      key: float [B, S, K, H]; each of the K heads serves N / K of the queries' ones.
      value: float [B, S, K, H].
      mask: True where a query may attend to a key, bool, broadcasts to [B, N, T, S].
      causal: Whether a token may attend only to itself and to those before it.

    Returns:
      float [B, T, N, H].
    """

    def attend(query, key, value):
        return jax.nn.dot_product_attention(
            query, key, value, mask=mask, is_causal=causal
        )

    def widened(*inputs):
        return attend(*(x.astype("float32") for x in inputs)).astype(query.dtype)

    if query.dtype != jnp.float16:
        outputs = attend(query, key, value)
    else:  # What jax multiplies float16 with, the CPU lacks.
        outputs = lax.platform_dependent(query, key, value, cpu=widened, default=attend)
    if mask is None:
        return outputs
    # It gives the mean of all values where there is nothing to attend to.
    some = jnp.swapaxes(mask.any(-1, keepdims=True), 1, 2)
    return jnp.where(some, outputs, 0)


def attention_weights(query: Array, key: Array, mask: Array | None = None) -> Array:
    """softmax(Q Kᵀ / √H): how much each query takes of each key, float [B, N, T, S].

    Args:
      query: float [B, T, N, H].
      key: float [B, S, K, H]; each of the K heads serves N / K of the queries' ones.
      mask: True where a query may attend to a key, bool, broadcasts to [B, N, T, S].
    """
    b, t, n, h = query.shape
    grouped = query.reshape(b, t, key.shape[2], -1, h)
    wide = jnp.promote_types(query.dtype, jnp.float32)
    scores = jnp.einsum("btkgh,bskh->bkgts", grouped, key, preferred_element_type=wide)
    scores = scores.reshape(b, n, t, -1) / jnp.sqrt(h)
    if mask is not None:
        scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
    weights = jax.nn.softmax(scores, axis=-1)
    if mask is not None:
        weights = jnp.where(mask, weights, 0)
    return weights.astype(query.dtype)


def weighted_values(weights: Array, value: Array) -> Array:
    """The values' sums by attention weights.

    Args:
      weights: float [B, N, T, S].
      value: float [B, S, K, H].

    Returns:
      float [B, T, N, H].
    """
    b, n, t, s = weights.shape
    grouped = weights.reshape(b, value.shape[2], -1, t, s)
    outputs = jnp.einsum("bkgts,bskh->btkgh", grouped, value)
    return outputs.reshape(b, t, n, -1)
