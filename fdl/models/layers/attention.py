"""Multi-head attention with grouped queries, rotary positions and a cache."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.nn.initializers import Initializer
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers.dense import dense
from fdl.models.layers.masks import causal_mask
from fdl.models.layers.position_encodings import RotaryScaling, rotary_embedding
from fdl.types import Array


class Attention(nn.Module):
    """Multi-head scaled dot-product attention: softmax(Q Kᵀ / √H) V in each head.

    With `num_kv_heads` this is grouped-query attention, and with a memory
    cross-attention. Queries whose keys are all masked give zeros. Intermediates:
    ``weights``, the attention weights, float [B, N, T, S].

    For autoregressive decoding, the keys and values of earlier tokens are cached in the
    collection ``cache``, and so are those of a memory, computed at the first call. A
    call without a cache initialises one: the first call takes the prompt, and each
    further call one or more tokens. The cache holds at most `max_length` tokens in all.

    Attributes:
      num_heads: Number of query heads, N.
      num_kv_heads: Number of key and value heads, a divisor of `num_heads`; `num_heads`
        where None.
      head_size: Features of a head, H; those of a token divided by `num_heads` where
        None.
      use_bias: Whether the query, key and value projections have a bias.
      out_bias: Whether the output projection has a bias.
      rotary_base: Base of the rotary position embedding of queries and keys, see
        `rotary_embedding`; none where None. Cross-attention has none.
      rotary_scaling: Scaling of its frequencies; none where None.
      dropout: Dropout rate of the attention weights.
      max_length: Number of tokens that the cache can hold.
      kernel_init: Initialiser of the query, key and value projections.
      out_init: Initialiser of the output projection; `kernel_init` where None.
      dtype: Dtype of the computation, except for the softmax, which takes at least
        float32; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.

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
    rotary_scaling: RotaryScaling | None = None
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
        """Maps tokens x to attended values, float [B, T, D].

        Args:
          x: Tokens, from which queries are computed, float [B, T, D].
          train: Whether attention weights are dropped.
          memory: Tokens from which keys and values are computed, float [B, S, E]; x
            where None. While decoding, only the first call reads them.
          mask: True where a query may attend to a key, bool [B or 1, N or 1, T or 1,
            S]. While decoding, S is the length of the cache, in its order.
          causal: Whether a token may attend only to itself and to earlier tokens;
            decoding always is causal.
          positions: Positions of the tokens for the rotary embedding, int [B or 1, T];
            by default they count from 0, or from the end of the cache.
          decode: Whether x continues the sequence in the cache.
        """
        self_attention = memory is None
        query = self._project(x, x.shape[-1], "query")
        if memory is None or not decode:
            key, value = self._keys_and_values(x if memory is None else memory, x)
        else:
            key, value = self._cached_memory(memory, x)
        index = self._cache_index() if decode and self_attention else None
        if self.rotary_base is not None and self_attention:
            if positions is None:
                start = 0 if index is None else index.value
                positions = start + jnp.arange(x.shape[1])[None]
            rotation = positions, self.rotary_base, self.rotary_scaling
            query = rotary_embedding(query, *rotation)
            key = rotary_embedding(key, *rotation)
        if index is not None:
            # Keys are cached after their rotation, so that no call rotates them twice.
            key, value, decoded = self._update_cache(key, value, index)
            # `is_causal` compares indices of this call's queries with those of the
            # cache; only a mask that counts from the end of the cache is right.
            mask, causal = decoded if mask is None else mask & decoded, False
        causal = causal and self_attention
        outputs = self._attend(query, key, value, mask, causal, train)
        return dense(
            x.shape[-1],
            use_bias=self.out_bias,
            kernel_init=self.out_init or self.kernel_init,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name="out",
        )(lax.collapse(outputs, 2))

    def _project(self, tokens, num_features, name):
        """Queries, keys or values of tokens, float [B, T, N or K, H]."""
        num_heads, num_kv_heads = self.num_heads, self.num_kv_heads or self.num_heads
        if self.head_size is None and num_features % num_heads:
            raise UserError(
                f"num_heads={num_heads}: expected a divisor of the {num_features} "
                "features of a token, or a head_size"
            )
        if num_heads % num_kv_heads:
            raise UserError(
                f"num_kv_heads={num_kv_heads}: expected a divisor of "
                f"num_heads={num_heads}"
            )
        size = self.head_size or num_features // num_heads
        count = num_heads if name == "query" else num_kv_heads
        y = dense(
            count * size,
            use_bias=self.use_bias,
            kernel_init=self.kernel_init,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name=name,
        )(tokens)
        return y.reshape(*tokens.shape[:2], count, size)

    def _keys_and_values(self, attended, x):
        return [self._project(attended, x.shape[-1], name) for name in ("key", "value")]

    def _cached_memory(self, memory, x):
        """Keys and values of a memory: computed at the first call, then cached."""
        names = "memory_key", "memory_value"
        if self.has_variable("cache", names[0]):
            return [
                jnp.swapaxes(self.get_variable("cache", name), 1, 2) for name in names
            ]
        arrays = self._keys_and_values(memory, x)
        # `init` runs on an example memory, which must not stay in the cache.
        if not self.is_initializing():
            for name, array in zip(names, arrays, strict=True):
                self.put_variable("cache", name, jnp.swapaxes(array, 1, 2))
        return arrays

    def _cache_index(self):
        """Number of tokens in the cache, a variable of int32 []."""
        return self.variable("cache", "cache_index", jnp.zeros, (), jnp.int32)

    def _update_cache(self, key, value, index):
        """Appends keys and values to the cache.

        Returns:
          All cached keys and values, float [B, max_length, K, H], and a mask that is
          true where a key is not later than a query, bool [1, 1, T, max_length].
        """
        # By heads, as their products with a query need them, which would copy the whole
        # cache for each token otherwise: at 1024 tokens these are ten times faster.
        key, value = jnp.swapaxes(key, 1, 2), jnp.swapaxes(value, 1, 2)
        shape = (*key.shape[:2], self.max_length or 0, key.shape[3])
        keys = self.variable("cache", "cached_key", jnp.zeros, shape, key.dtype)
        values = self.variable("cache", "cached_value", jnp.zeros, shape, value.dtype)
        # A cache that was made before may have another length.
        length, max_length = key.shape[2], keys.value.shape[2]
        if length > max_length:
            raise UserError(
                f"max_length={self.max_length}: expected at least the {length} tokens "
                "that are decoded"
            )
        start = index.value
        # `init` runs on example tokens, which must not stay in the cache.
        if not self.is_initializing():
            update = lax.dynamic_update_slice_in_dim
            keys.value = update(keys.value, key, start, axis=2)
            values.value = update(values.value, value, start, axis=2)
            index.value = start + length
        # The unused end of the cache holds zeros; its slots come after every query, so
        # the same comparison masks them.
        query_slots = start + jnp.arange(length)[None, None, :, None]
        decoded = jnp.arange(max_length)[None, None, None] <= query_slots
        key, value = (jnp.swapaxes(x.value, 1, 2) for x in (keys, values))
        return key, value, decoded

    def _attend(self, query, key, value, mask, causal, train):
        """Attended values of each head, float [B, T, N, H]."""
        if causal and mask is not None:
            mask, causal = mask & causal_mask(query.shape[1]), False
        # The fused kernel neither returns nor drops attention weights. In float64 it
        # would still take its softmax in float32.
        capture = self.is_mutable_collection("intermediates")
        capture = capture and not self.is_initializing()
        float64 = query.dtype == jnp.float64
        if capture or float64 or (train and self.dropout > 0):
            if causal:
                mask = causal_mask(query.shape[1])
            weights = attention_weights(query, key, mask)
            self.sow("intermediates", "weights", weights)
            weights = nn.Dropout(self.dropout, deterministic=not train)(weights)
            return weighted_values(weights, value)
        return fused_attention(query, key, value, mask, causal=causal)


def fused_attention(
    query: Array, key: Array, value: Array, mask: Array | None, *, causal: bool
) -> Array:
    """Scaled dot-product attention by `jax.nn.dot_product_attention`.

    Unlike it, queries whose keys are all masked give zeros.

    Args:
      query: float [B, T, N, H].
      key: float [B, S, K, H]; each of the K heads serves N / K query heads.
      value: float [B, S, K, H].
      mask: True where a query may attend to a key, bool, broadcasts to [B, N, T, S].
      causal: Whether a token may attend only to itself and to earlier tokens.

    Returns:
      float [B, T, N, H].
    """

    def attend(query, key, value):
        return jax.nn.dot_product_attention(
            query, key, value, mask=mask, is_causal=causal
        )

    def attend_in_float32(*inputs):
        return attend(*(x.astype("float32") for x in inputs)).astype(query.dtype)

    if query.dtype != jnp.float16:
        outputs = attend(query, key, value)
    else:
        # XLA on the CPU does not implement the product of float16 that JAX emits here.
        outputs = lax.platform_dependent(
            query, key, value, cpu=attend_in_float32, default=attend
        )
    if mask is None:
        return outputs
    # Where all keys are masked, all scores are the same finite minimum, and the softmax
    # gives the mean of all values.
    any_key = jnp.swapaxes(mask.any(-1, keepdims=True), 1, 2)
    return jnp.where(any_key, outputs, 0)


def attention_weights(query: Array, key: Array, mask: Array | None = None) -> Array:
    """Attention weights softmax(Q Kᵀ / √H), float [B, N, T, S].

    Args:
      query: float [B, T, N, H].
      key: float [B, S, K, H]; each of the K heads serves N / K query heads.
      mask: True where a query may attend to a key, bool, broadcasts to [B, N, T, S].
    """
    b, t, n, h = query.shape
    # Query heads are grouped by the key head that they share: no key is repeated.
    grouped = query.reshape(b, t, key.shape[2], n // key.shape[2], h)
    wide = jnp.promote_types(query.dtype, jnp.float32)
    scores = jnp.einsum("btkgh,bskh->bkgts", grouped, key, preferred_element_type=wide)
    scores = scores.reshape(b, n, t, key.shape[1]) / jnp.sqrt(h)
    if mask is not None:
        # A finite minimum, as a row of -inf alone would make the softmax NaN.
        scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
    weights = jax.nn.softmax(scores, axis=-1)
    if mask is not None:
        weights = jnp.where(mask, weights, 0)
    return weights.astype(query.dtype)


def weighted_values(weights: Array, value: Array) -> Array:
    """Sums of the values, weighted by attention.

    Args:
      weights: Attention weights, float [B, N, T, S].
      value: Values, float [B, S, K, H]; each of the K heads serves N / K query heads.

    Returns:
      float [B, T, N, H].
    """
    b, n, t, s = weights.shape
    grouped = weights.reshape(b, value.shape[2], n // value.shape[2], t, s)
    outputs = jnp.einsum("bkgts,bskh->btkgh", grouped, value)
    return outputs.reshape(b, t, n, value.shape[3])
