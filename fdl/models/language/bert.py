"""BERT: bidirectional Transformer encoder for text."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers import layer_norm
from fdl.models.layers.dense import dense
from fdl.models.layers.layer_stack import Stack
from fdl.models.layers.masks import padding_mask
from fdl.models.layers.transformer_block import TransformerBlock
from fdl.models.pretrained import Rules
from fdl.models.pretrained import bert as formats
from fdl.types import Array

_gelu = functools.partial(nn.gelu, approximate=False)
_truncated_normal = nn.initializers.truncated_normal(0.02)


class BERT(nn.Module):
    """BERT: bidirectional Transformer encoder with post-layer normalisation.

    Intermediates: ``encoder/layers_0/outputs`` and so on, the outputs of the blocks;
    ``encoder/layers_0/attention/weights`` and so on, the attention weights;
    ``features``, the input of the classification layer.

    Attributes:
      num_layers: Number of Transformer blocks.
      num_heads: Number of attention heads.
      hidden_size: Number of features of a token.
      mlp_size: Hidden units of the feed-forward networks; four times `hidden_size` if
        None.
      activation: Activation of the feed-forward networks.
      pool: Features that are classified: ``"token"`` for the first token after a dense
        layer with tanh, ``"mean"`` for the mean over tokens, ``"none"`` for each token
        by itself.
      num_classes: Number of classes; None omits the classification layer and returns
        the features.
      vocab_size: Number of tokens in the vocabulary.
      max_length: Maximum sequence length, in tokens.
      num_token_types: Number of segment ids.
      pad_token: Token id of padding, for texts without a mask; None if there is none.
      epsilon: Constant that layer norms add to the variance; that of the published
        model is smaller than those of later ones.
      dropout: Dropout rate of the embeddings, the outputs of each residual branch, the
        attention weights and the features in front of the classification layer.
      attention_dropout: Dropout rate of the attention weights; `dropout` if None.
      remat: Whether to recompute the activations of each block in the backward pass.
      scan_layers: Whether to run the blocks as one `flax.linen.scan`, compiled once.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Devlin et al., `BERT: Pre-training of Deep Bidirectional Transformers for Language
      Understanding <https://arxiv.org/abs/1810.04805>`_, 2018.
    """

    num_layers: int
    num_heads: int
    hidden_size: int
    mlp_size: int | None = None
    activation: Callable[[Array], Array] = _gelu
    pool: str = "token"
    num_classes: int | None = None
    vocab_size: int = 30_522
    max_length: int = 512
    num_token_types: int = 2
    pad_token: int | None = None
    epsilon: float = 1e-12
    dropout: float = 0.0
    attention_dropout: float | None = None
    remat: bool = False
    scan_layers: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self,
        tokens: Array,
        *,
        token_types: Array | None = None,
        mask: Array | None = None,
        train: bool = False,
    ) -> Any:
        """Maps tokens to logits, float [B, num_classes].

        Args:
          tokens: Token ids, int [B, T].
          token_types: Segment ids, int [B, T]: the sentence that a token belongs to;
            zero if None.
          mask: bool [B, T], true at tokens and false at padding; if None, all but
            `pad_token` are tokens.
          train: Whether to run in training mode.

        Returns:
          float [B, num_classes], or [B, T, num_classes] if `pool` is ``"none"``.
        """
        mask = self._mask(tokens, mask)
        x, _ = self._encode(tokens, token_types, mask, train)
        return self._read_out(x, mask, train=train)

    def _mask(self, tokens, mask):
        if mask is None and self.pad_token is not None:
            return tokens != self.pad_token
        return mask

    def _encode(self, tokens, token_types, mask, train):
        """Contextual embeddings, float [B, T, D], and the token embedding."""
        if tokens.shape[1] > self.max_length:
            # Out-of-range look-ups do not fail under JAX, but return NaN.
            raise UserError(
                f"max_length={self.max_length}: expected at least the number of "
                f"tokens, {tokens.shape[1]}"
            )
        dtypes = self._dtypes()
        embed: Callable[..., nn.Embed] = functools.partial(
            nn.Embed,
            features=self.hidden_size,
            embedding_init=_truncated_normal,
            **dtypes,
        )
        if token_types is None:
            token_types = jnp.zeros_like(tokens)
        positions = jnp.arange(tokens.shape[1])[None]
        embedding = embed(self.vocab_size, name="token_embedding")
        x = embedding(tokens)
        x = x + embed(self.num_token_types, name="type_embedding")(token_types)
        x = x + embed(self.max_length, name="position_embedding")(positions)
        x = layer_norm(self.epsilon, name="embedding_norm", **dtypes)(x)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        encoder = Stack(
            functools.partial(TransformerBlock, **self._block()),
            self.num_layers,
            self.scan_layers,
            self.remat,
            name="encoder",
        )
        attention_mask = None if mask is None else padding_mask(mask)
        # The token embedding is returned for models that tie their output layer to it.
        return encoder(x, train, 0.0, attention_mask), embedding

    def _block(self) -> dict[str, Any]:
        attention_dropout = self.attention_dropout
        return {
            "num_heads": self.num_heads,
            "mlp_size": self.mlp_size or 4 * self.hidden_size,
            "activation": self.activation,
            "norm": functools.partial(layer_norm, self.epsilon, **self._dtypes()),
            "pre_norm": False,
            "dropout": self.dropout,
            "attention_dropout": (
                self.dropout if attention_dropout is None else attention_dropout
            ),
            "kernel_init": _truncated_normal,
            **self._dtypes(),
        }

    def _read_out(self, x, mask, train):
        """Logits, float [B, num_classes], or [B, T, num_classes] without pooling."""
        if self.pool not in ("token", "mean", "none"):
            raise UserError(f"pool={self.pool!r}: expected 'token', 'mean' or 'none'")
        if self.pool == "token":
            # The first token is [CLS], which carries the representation of the text.
            x = jnp.tanh(self._dense(self.hidden_size, name="pooler")(x[:, 0]))
        if self.pool == "mean":
            tokens = jnp.ones(x.shape[:2], bool) if mask is None else mask
            # An empty text has the mean zero.
            count = jnp.maximum(tokens.sum(axis=1, keepdims=True), 1)
            x = jnp.where(tokens[..., None], x, 0).sum(axis=1) / count.astype(x.dtype)
        self.sow("intermediates", "features", x)
        if self.num_classes is None:
            return x
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return self._dense(self.num_classes, name="head")(x)

    def _dense(self, size: int, name: str) -> nn.Dense:
        return dense(size, kernel_init=_truncated_normal, name=name, **self._dtypes())

    def _dtypes(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "param_dtype": self.param_dtype}

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one sequence of the maximum length."""
        return (jax.ShapeDtypeStruct((1, self.max_length), jnp.int32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of pretrained weights, by the name of their format."""
        return {
            "transformers": formats.TRANSFORMERS,
            "transformers_gamma": formats.TRANSFORMERS_GAMMA,
        }


def bert_tiny(dropout: float = 0.1, **options: Any) -> BERT:
    """BERT-tiny; 4,385,920 parameters.

    Args:
      dropout: Dropout rate; see `BERT`.
      **options: Other attributes of `BERT`.

    References:
      Turc et al., `Well-Read Students Learn Better: On the Importance of Pre-training
      Compact Models <https://arxiv.org/abs/1908.08962>`_, 2019.
    """
    return BERT(2, 2, 128, dropout=dropout, **options)


def bert_base(dropout: float = 0.1, **options: Any) -> BERT:
    """BERT-base; 109,482,240 parameters.

    Args:
      dropout: Dropout rate; see `BERT`.
      **options: Other attributes of `BERT`.
    """
    return BERT(12, 12, 768, dropout=dropout, **options)


def bert_large(dropout: float = 0.1, **options: Any) -> BERT:
    """BERT-large; 335,141,888 parameters.

    Args:
      dropout: Dropout rate; see `BERT`.
      **options: Other attributes of `BERT`.
    """
    return BERT(24, 16, 1024, dropout=dropout, **options)
