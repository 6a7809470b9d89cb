"""The encoder-decoder that began it."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers import layer_norm
from fdl.models.layers.dense import tied_logits
from fdl.models.layers.layer_stack import Stack
from fdl.models.layers.masks import padding_mask, segment_mask
from fdl.models.layers.position_encodings import sinusoids
from fdl.models.layers.token_positions import TokenPositions
from fdl.models.layers.transformer_block import TransformerBlock
from fdl.types import Array


class Transformer(nn.Module):
    """Reads one text, and says which token of another comes next.

    One embedding serves both texts and, transposed, as the readout. Intermediates:
    ``encoder/layers_0/outputs`` and so on, those of the layers;
    ``decoder/layers_0/cross_attention/weights`` and so on, what attends to what.

    Attributes:
      num_layers: Blocks of the encoder.
      num_heads: Heads of each attention.
      hidden_size: Features of a token.
      mlp_size: Hidden units of each feed-forward network.
      num_decoder_layers: Blocks of the decoder; `num_layers` where None.
      vocab_size: How many tokens there are.
      max_length: Tokens for which there is room when decoding; any number elsewhere.
      pre_norm: Whether norms stand in front of the branches, and at the end, and not
        behind each sum as published.
      activation: That of the feed-forward networks.
      use_bias: Whether dense layers have a bias.
      epsilon: Added to the variance by each norm.
      dropout: Fraction of the embeddings and of the outputs of each branch that is
        dropped in training.
      attention_dropout: That of the attention weights.
      mlp_dropout: That of the hidden units of the feed-forward networks.
      remat: Whether what a block computes is computed again in the backward pass.
      scan_layers: Whether one block is compiled, and run many times.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    Example:
      A target goes on from its cache, a token at a time:

      >>> model = Transformer(1, 2, 8, 16, vocab_size=16, max_length=8)
      >>> source, target = jnp.array([[1, 2, 3]]), jnp.array([[0]])
      >>> variables = jax.jit(model.init)(jax.random.key(0), source, target)
      >>> encode = functools.partial(model.apply, method="encode")
      >>> options = {"method": "decode", "decode": True, "mutable": ["cache"]}
      >>> decode = jax.jit(functools.partial(model.apply, **options))
      >>> memory = jax.jit(encode)(variables, source)
      >>> logits, cache = decode(variables, target, memory)
      >>> for _ in range(5):
      ...     last = logits[:, -1:].argmax(axis=-1)
      ...     target = jnp.concatenate([target, last], axis=1)
      ...     logits, cache = decode({**variables, **cache}, last, memory)
      >>> full = jax.jit(model.apply)(variables, source, target)
      >>> bool(jnp.allclose(logits[:, -1], full[:, -1], atol=1e-5))
      True

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
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Makes the embedding and the two stacks of blocks."""
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
            max_length=self.max_length,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            mlp_dropout=self.mlp_dropout,
            **dtypes,
        )
        stack = functools.partial(Stack, scan=self.scan_layers, remat=self.remat)
        num_decoder_layers = self.num_decoder_layers or self.num_layers
        self.embedding = nn.Embed(
            self.vocab_size,
            self.hidden_size,
            embedding_init=nn.initializers.normal(self.hidden_size**-0.5),
            **dtypes,
        )
        self.embedding_dropout = nn.Dropout(self.dropout)
        self.places = TokenPositions(self.max_length)
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
        train: bool = False,
    ) -> Array:
        """Maps two texts to logits of the target's next tokens, float [B, T, V].

        Args:
          source: int [B, S].
          target: int [B, T], from a token on that says that it begins.
          source_mask: bool [B, S], true where a token is.
          target_mask: bool [B, T], true where a token is.
          source_segments: Which text a token belongs to, int [B, S], zero where
            padding is.
          target_segments: Which source a token translates, int [B, T].
          train: Whether it is training.
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
        """Maps a source int [B, S] to what is to know of it, float [B, S, D]."""
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
        train: bool = False,
    ) -> Array:
        """Maps a target int [B, T] to logits of its next tokens, float [B, T, V].

        Args:
          target: int [B, T].
          memory: What `encode` returned, float [B, S, D].
          mask: bool [B, T], true where a token is.
          memory_mask: bool [B, S], of the source.
          segments: Which source a token translates, int [B, T].
          memory_segments: Which source a token of the memory belongs to, int [B, S].
          decode: Whether it goes on from what is in the collection ``cache``.
          train: Whether it is training.
        """
        attended, positions = self.places(target, mask, segments, decode)
        known = None if memory_mask is None else padding_mask(memory_mask)
        if segments is not None and memory_segments is not None:
            known = segment_mask(segments, memory_segments)
        elif segments is not None or memory_segments is not None:
            raise ValueError("Either both texts have segments, or none has.")
        x = self._embed(target, positions, train)
        x = self.decoder(x, train, 0.0, attended, None, memory, known, decode)
        x = self.decoder_norm(x) if self.pre_norm else x
        return tied_logits(self.embedding, x)

    def _embed(self, tokens, positions, train):
        x = self.embedding(tokens) * self.hidden_size**0.5
        x = x + sinusoids(positions, self.hidden_size).astype(x.dtype)
        return self.embedding_dropout(x, deterministic=not train)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Two texts; others of any length are taken too."""
        return (jax.ShapeDtypeStruct((1, self.max_length), jnp.int32),) * 2


def transformer_base(dropout: float = 0.1, **options: Any) -> Transformer:
    """The base Transformer; 63,082,496 parameters.

    Args:
      dropout: As of `Transformer`.
      **options: All others of `Transformer`.
    """
    return Transformer(6, 8, 512, 2048, dropout=dropout, **options)


def transformer_big(dropout: float = 0.3, **options: Any) -> Transformer:
    """The big Transformer; 214,245,376 parameters.

    Args:
      dropout: As of `Transformer`.
      **options: All others of `Transformer`.
    """
    return Transformer(6, 16, 1024, 4096, dropout=dropout, **options)
