"""Transformer encoder-decoder of Vaswani et al."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers import layer_norm
from fdl.models.layers.dense import tied_logits
from fdl.models.layers.layer_stack import Stack
from fdl.models.layers.masks import padding_mask, segment_mask
from fdl.models.layers.position_encodings import sinusoidal_embedding
from fdl.models.layers.token_positions import TokenPositions
from fdl.models.layers.transformer_block import TransformerBlock
from fdl.types import Array


class Transformer(nn.Module):
    """Transformer encoder-decoder with sinusoidal positions and tied embeddings.

    Source, target and output layer share one embedding. Intermediates:
    ``encoder/layers_0/outputs`` and so on, the outputs of the layers;
    ``decoder/layers_0/cross_attention/weights`` and so on, the attention weights.

    Attributes:
      num_layers: Number of encoder blocks.
      num_heads: Number of attention heads.
      hidden_size: Size of the token representations.
      mlp_size: Hidden units of each feed-forward network.
      num_decoder_layers: Number of decoder blocks; `num_layers` if None.
      vocab_size: Size of the vocabulary.
      max_length: Length of the decoding cache in tokens; without ``decode=True``
        sequences may be of any length.
      pre_norm: Whether layer normalisation precedes each branch and follows the last
        block (pre-LN), instead of following each residual sum as published (post-LN).
      activation: Activation of the feed-forward networks.
      use_bias: Whether dense layers have a bias.
      epsilon: Added to the variance in each layer normalisation.
      dropout: Dropout rate of the embeddings and of the output of each branch.
      attention_dropout: Dropout rate of the attention weights.
      mlp_dropout: Dropout rate of the hidden units of the feed-forward networks.
      remat: Whether to rematerialise each block in the backward pass.
      scan_layers: Whether to scan over the blocks, which compiles a single one.
      cache_length: Number of tokens that a new key-value cache can hold; `max_length`
        if None.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    Example:
      >>> model = Transformer(1, 2, 8, 16, vocab_size=16, max_length=8)
      >>> source, target = jnp.array([[1, 2, 3]]), jnp.array([[0, 5]])
      >>> variables = jax.jit(model.init)(jax.random.key(0), source, target)
      >>> jax.jit(model.apply)(variables, source, target).shape
      (1, 2, 16)

      `fdl.generation` continues a target, with a cache.

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_,
      2017.
    """

    num_layers: int
    num_heads: int
    hidden_size: int
    mlp_size: int
    num_decoder_layers: int | None = None
    vocab_size: int = 37_000
    max_length: int = 256
    pre_norm: bool = False
    activation: Callable[[Array], Array] = nn.relu
    use_bias: bool = True
    epsilon: float = 1e-5
    dropout: float = 0.0
    attention_dropout: float = 0.0
    mlp_dropout: float = 0.0
    remat: bool = False
    scan_layers: bool = False
    cache_length: int | None = None
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Creates the embedding and the two stacks of blocks."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        norm: Callable[..., nn.Module] = functools.partial(
            layer_norm, self.epsilon, **dtypes
        )
        block: Callable[..., nn.Module] = functools.partial(
            TransformerBlock,
            self.num_heads,
            self.mlp_size,
            activation=self.activation,
            norm=norm,
            pre_norm=self.pre_norm,
            use_bias=self.use_bias,
            max_length=self.cache_length or self.max_length,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            mlp_dropout=self.mlp_dropout,
            **dtypes,
        )
        stack = functools.partial(Stack, scan=self.scan_layers, remat=self.remat)
        num_decoder_layers = self.num_decoder_layers or self.num_layers
        # The embedding is also the output layer: this scale gives logits of unit
        # variance there, and `_embed` multiplies by √hidden_size for the inputs.
        self.embedding = nn.Embed(
            self.vocab_size,
            self.hidden_size,
            embedding_init=nn.initializers.normal(self.hidden_size**-0.5),
            **dtypes,
        )
        self.embedding_dropout = nn.Dropout(self.dropout)
        self.places = TokenPositions(self.cache_length or self.max_length)
        self.encoder = stack(block, self.num_layers)
        self.decoder = stack(functools.partial(block, causal=True), num_decoder_layers)
        if self.pre_norm:
            self.encoder_norm, self.decoder_norm = norm(), norm()

    def __call__(
        self,
        source: Array,
        target: Array,
        *,
        source_mask: Array | None = None,
        target_mask: Array | None = None,
        source_segments: Array | None = None,
        target_segments: Array | None = None,
        return_features: bool = False,
        train: bool = False,
    ) -> Array:
        """Maps source and target to logits of the next target tokens, float [B, T, V].

        Args:
          source: int [B, S].
          target: int [B, T], beginning with a start token.
          source_mask: bool [B, S], True at tokens, False at padding.
          target_mask: bool [B, T], True at tokens, False at padding.
          source_segments: Segment indices of packed sources, int [B, S], zero at
            padding.
          target_segments: Segment index of the source that each token translates, int
            [B, T].
          return_features: Whether to return the input of the output layer, float
            [B, T, D], for `logits`.
          train: Whether to run in training mode.
        """
        memory = self.encode(
            source, mask=source_mask, segments=source_segments, train=train
        )
        return self.decode(
            target,
            memory,
            mask=target_mask,
            memory_mask=source_mask,
            segments=target_segments,
            memory_segments=source_segments,
            return_features=return_features,
            train=train,
        )

    def encode(
        self,
        source: Array,
        *,
        mask: Array | None = None,
        segments: Array | None = None,
        train: bool = False,
    ) -> Array:
        """Encodes a source, int [B, S], as a memory, float [B, S, D]."""
        attended, positions = self.places(source, mask, segments)
        x = self._embed(source, positions, train)
        x = self.encoder(x, train, 0.0, attended)
        return self.encoder_norm(x) if self.pre_norm else x

    def decode(
        self,
        target: Array,
        memory: Array,
        *,
        mask: Array | None = None,
        memory_mask: Array | None = None,
        segments: Array | None = None,
        memory_segments: Array | None = None,
        decode: bool = False,
        return_features: bool = False,
        train: bool = False,
    ) -> Array:
        """Maps a target, int [B, T], to logits of its next tokens, float [B, T, V].

        Args:
          target: int [B, T].
          memory: Result of `encode`, float [B, S, D]. Its keys and values of all layers
            are computed once, in the first call with ``decode=True``.
          mask: bool [B, T], True at tokens, False at padding.
          memory_mask: bool [B, S], the same of the source.
          segments: Segment index of the source that each token translates, int [B, T].
          memory_segments: Segment indices of the source, int [B, S].
          decode: Whether to continue from the keys and values in the collection
            ``cache``.
          return_features: Whether to return the input of the output layer, float
            [B, T, D], for `logits`.
          train: Whether to run in training mode.
        """
        attended, positions = self.places(target, mask, segments, decode)
        cross_mask = None if memory_mask is None else padding_mask(memory_mask)
        if segments is not None and memory_segments is not None:
            # Padding has segment zero, so these subsume the mask of the memory.
            cross_mask = segment_mask(segments, memory_segments)
        elif segments is not None or memory_segments is not None:
            raise UserError("segments, memory_segments: expected both or neither")
        x = self._embed(target, positions, train)
        x = self.decoder(x, train, 0.0, attended, None, memory, cross_mask, decode)
        x = self.decoder_norm(x) if self.pre_norm else x
        return x if return_features else self.logits(x)

    def logits(self, features: Array) -> Array:
        """Output layer: maps features, float [B, T, D], to logits, float [B, T, V].

        The logits of a large vocabulary need more memory than the rest of a network;
        with this method, not all of them have to be there at once.
        """
        return tied_logits(self.embedding, features)

    def _embed(self, tokens, positions, train):
        x = self.embedding(tokens) * self.hidden_size**0.5
        x = x + sinusoidal_embedding(positions, self.hidden_size).astype(x.dtype)
        return self.embedding_dropout(x, deterministic=not train)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shapes of a source and a target of `max_length` tokens."""
        return (jax.ShapeDtypeStruct((1, self.max_length), jnp.int32),) * 2


def transformer_base(dropout: float = 0.1, **options: Any) -> Transformer:
    """Transformer (base); 63,082,496 parameters.

    Args:
      dropout: As in `Transformer`.
      **options: Other attributes of `Transformer`.
    """
    return Transformer(6, 8, 512, 2048, dropout=dropout, **options)


def transformer_big(dropout: float = 0.3, **options: Any) -> Transformer:
    """Transformer (big); 214,245,376 parameters.

    Args:
      dropout: As in `Transformer`.
      **options: Other attributes of `Transformer`.
    """
    return Transformer(6, 16, 1024, 4096, dropout=dropout, **options)
