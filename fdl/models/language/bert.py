"""BERT."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

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
    """A Transformer in which each token of a text attends to all others.

    Layers are normalised after their sums. Intermediates: ``encoder/layers_0/outputs``
    and so on, those of the layers; ``encoder/layers_0/attention/weights`` and so on,
    what attends to what; ``features``, what the readout sees.

    Attributes:
      num_layers: Blocks.
      num_heads: Heads of each attention.
      hidden_size: Size of a token.
      mlp_size: Hidden units of the feed-forward networks; four times the size of a
        token where None.
      activation: That of the feed-forward networks.
      pool: What is read out: the first ``"token"``, through a layer with tanh, or
        ``"none"``: all tokens are, each for itself.
      num_classes: Size of the readout; none where None, and the features come out.
      vocab_size: How many tokens there are.
      max_length: Tokens of the longest text.
      num_token_types: How many parts a text may have.
      dropout: Fraction of the embeddings, of the outputs of each branch, of the
        attention weights and of what is read out that is dropped in training.
      attention_dropout: That of the attention weights, where it is another.
      remat: Whether what a block computes is computed again in the backward pass.
      scan_layers: Whether one block is compiled and run `num_layers` times.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

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
          tokens: int [B, T].
          token_types: Which part of the text a token belongs to, int [B, T]; zero by
            default.
          mask: bool [B, T], true where a token is.
          train: Whether it is training.

        Returns:
          float [B, num_classes], or [B, T, num_classes] if nothing is pooled.
        """
        x, _ = self._encode(tokens, token_types, mask, train)
        return self._read_out(x, train=train)

    def _encode(self, tokens, token_types, mask, train):
        """Tokens in their context, float [B, T, D], and the embedding."""
        if tokens.shape[1] > self.max_length:
            raise ValueError(
                f"max_length is {self.max_length}, but there are {tokens.shape[1]} "
                "tokens."
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
        places = jnp.arange(tokens.shape[1])[None]
        embedding = embed(self.vocab_size, name="token_embedding")
        x = embedding(tokens)
        x = x + embed(self.num_token_types, name="type_embedding")(token_types)
        x = x + embed(self.max_length, name="position_embedding")(places)
        x = layer_norm(1e-12, name="embedding_norm", **dtypes)(x)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        encoder = Stack(
            functools.partial(TransformerBlock, **self._block()),
            self.num_layers,
            self.scan_layers,
            self.remat,
            name="encoder",
        )
        attended = None if mask is None else padding_mask(mask)
        return encoder(x, train, 0.0, attended), embedding

    def _block(self) -> dict[str, Any]:
        attention_dropout = self.attention_dropout
        return {
            "num_heads": self.num_heads,
            "mlp_size": self.mlp_size or 4 * self.hidden_size,
            "activation": self.activation,
            "norm": functools.partial(layer_norm, 1e-12, **self._dtypes()),
            "pre_norm": False,
            "dropout": self.dropout,
            "attention_dropout": (
                self.dropout if attention_dropout is None else attention_dropout
            ),
            "kernel_init": _truncated_normal,
            **self._dtypes(),
        }

    def _read_out(self, x, train):
        """float [B, num_classes] or [B, T, num_classes]."""
        if self.pool not in ("token", "none"):
            raise ValueError(f'pool is {self.pool!r}, not "token" or "none".')
        if self.pool == "token":
            x = jnp.tanh(self._dense(self.hidden_size, name="pooler")(x[:, 0]))
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
        """One text of full length; shorter ones are taken too."""
        return (jax.ShapeDtypeStruct((1, self.max_length), jnp.int32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Published weights that fit."""
        return {
            "transformers": formats.TRANSFORMERS,
            "transformers_gamma": formats.TRANSFORMERS_GAMMA,
        }


def bert_tiny(dropout: float = 0.1, **options: Any) -> BERT:
    """BERT-tiny; 4,385,920 parameters.

    Args:
      dropout: As of `BERT`.
      **options: All others of `BERT`.

    References:
      Turc et al., `Well-Read Students Learn Better: On the Importance of Pre-training
      Compact Models <https://arxiv.org/abs/1908.08962>`_, 2019.
    """
    return BERT(2, 2, 128, dropout=dropout, **options)


def bert_base(dropout: float = 0.1, **options: Any) -> BERT:
    """BERT-base; 109,482,240 parameters.

    Args:
      dropout: As of `BERT`.
      **options: All others of `BERT`.
    """
    return BERT(12, 12, 768, dropout=dropout, **options)


def bert_large(dropout: float = 0.1, **options: Any) -> BERT:
    """BERT-large; 335,141,888 parameters.

    Args:
      dropout: As of `BERT`.
      **options: All others of `BERT`.
    """
    return BERT(24, 16, 1024, dropout=dropout, **options)
