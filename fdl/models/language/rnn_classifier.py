"""Recurrent networks that read a text, or any sequence of features."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.rnn import RNN
from fdl.types import Array, PyTree


class RNNEncoder(nn.Module):
    """Maps tokens, or features, to what the layers know at each of them.

    Intermediates: ``rnn/layer_0/states``, ..., the outputs of each layer.

    Attributes:
      hidden_size: Units of each layer and direction.
      num_layers: Layers.
      cell: "elman", "gru" or "lstm".
      bidirectional: Whether it also reads from the last token to the first.
      vocab_size: How many tokens there are; features come in where None.
      embedding_size: Features of a token; `hidden_size` where None.
      dropout: Fraction of the embeddings and of what a layer hands to the next that is
        dropped in training.
      forget_bias: What the bias of the LSTM's forget gates begins as.
      remat: Whether what a layer computes is computed again in the backward pass.
      input_shape: Of an example, without its batch: steps, and features if these come
        in. Others are taken too.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
    """

    hidden_size: int
    num_layers: int = 1
    cell: str = "lstm"
    bidirectional: bool = False
    vocab_size: int | None = None
    embedding_size: int | None = None
    dropout: float = 0.0
    forget_bias: float = 1.0
    remat: bool = False
    input_shape: Sequence[int] = (28, 28)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self,
        inputs: Array,
        *,
        mask: Array | None = None,
        initial_carry: PyTree | None = None,
        return_carry: bool = False,
        train: bool = False,
    ) -> Any:
        """Maps tokens int [B, T], or features [B, T, D], to states.

        Args:
          inputs: What it reads.
          mask: bool [B, T], true where a token is; padding comes after the tokens.
          initial_carry: What the layers carry at the first step; zeros by default.
          return_carry: Whether what they carry after the last token comes out.
          train: Whether it is training.

        Returns:
          States, float [B, T, hidden_size or twice as many], zero at padding; or a pair
          of these and of the carry of each layer, as of `RNN`.
        """
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = inputs
        if self.vocab_size is not None:
            size = self.embedding_size or self.hidden_size
            x = nn.Embed(self.vocab_size, size, name="embedding", **dtypes)(x)
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        rnn = RNN(
            self.hidden_size,
            self.num_layers,
            self.cell,
            self.bidirectional,
            dropout=self.dropout,
            forget_bias=self.forget_bias,
            remat=self.remat,
            name="rnn",
            **dtypes,
        )
        return rnn(
            x,
            mask=mask,
            initial_carry=initial_carry,
            return_carry=return_carry,
            train=train,
        )

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One sequence of the shape that `input_shape` says."""
        return _example(self)


class RNNClassifier(nn.Module):
    """Says of which class a text, or any sequence of features, is.

    Intermediates: ``encoder/rnn/layer_0/states``, ..., the outputs of each layer;
    ``features``, what the readout sees.

    Attributes:
      hidden_size: Units of each layer and direction.
      num_layers: Layers.
      cell: "elman", "gru" or "lstm".
      bidirectional: Whether it also reads from the last token to the first.
      pooling: What of the states of the last layer is read out: the "last" (in each
        direction), or the "mean" or "max" over the tokens.
      num_classes: Size of the readout; none where None, and pooled features come out.
      vocab_size: How many tokens there are; features come in where None.
      embedding_size: Features of a token; `hidden_size` where None.
      dropout: Fraction of the embeddings, of what a layer hands to the next, and of the
        pooled features that is dropped in training.
      forget_bias: What the bias of the LSTM's forget gates begins as.
      remat: Whether what a layer computes is computed again in the backward pass.
      input_shape: Of an example, without its batch: steps, and features if these come
        in. Others are taken too.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    Example:
      >>> module = RNNClassifier(8, bidirectional=True, num_classes=2, vocab_size=50)
      >>> tokens = jnp.array([[7, 3, 9, 0], [1, 2, 3, 4]])
      >>> variables = module.init(jax.random.key(0), tokens)
      >>> module.apply(variables, tokens, mask=tokens > 0).shape
      (2, 2)
    """

    hidden_size: int
    num_layers: int = 1
    cell: str = "lstm"
    bidirectional: bool = False
    pooling: str = "last"
    num_classes: int | None = 10
    vocab_size: int | None = None
    embedding_size: int | None = None
    dropout: float = 0.0
    forget_bias: float = 1.0
    remat: bool = False
    input_shape: Sequence[int] = (28, 28)
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self, inputs: Array, *, mask: Array | None = None, train: bool = False
    ) -> Array:
        """Maps a sequence to logits, float [B, num_classes].

        Args:
          inputs: Tokens int [B, T], or features [B, T, D].
          mask: bool [B, T], true where a token is; padding comes after the tokens.
          train: Whether it is training.
        """
        encoder = RNNEncoder(
            self.hidden_size,
            self.num_layers,
            self.cell,
            self.bidirectional,
            self.vocab_size,
            self.embedding_size,
            self.dropout,
            self.forget_bias,
            self.remat,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name="encoder",
        )
        states, carry = encoder(inputs, mask=mask, return_carry=True, train=train)
        x = self._pool(states, carry, mask)
        self.sow("intermediates", "features", x)
        if self.num_classes is None:
            return x
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        return nn.Dense(self.num_classes, name="head", **dtypes)(x)

    def _pool(self, states, carry, mask):
        if self.pooling == "last":
            last = carry[-1] if self.bidirectional else carry[-1:]
            h = [c[-1] if self.cell == "lstm" else c for c in last]
            return jnp.concatenate(h, axis=-1).astype(states.dtype)
        tokens = jnp.ones(states.shape[:2], bool) if mask is None else mask
        if self.pooling == "mean":
            count = jnp.maximum(tokens.sum(axis=1, keepdims=True), 1)
            return states.sum(axis=1) / count.astype(states.dtype)
        if self.pooling == "max":
            # No state is below -1.
            return jnp.where(tokens[..., None], states, -1.0).max(axis=1)
        raise ValueError(
            f"pooling is {self.pooling!r}, but has to be 'last', 'mean' or 'max'."
        )

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One sequence of the shape that `input_shape` says."""
        return _example(self)


def _example(module):
    if module.vocab_size is None:
        return (jax.ShapeDtypeStruct((1, *module.input_shape), jnp.float32),)
    return (jax.ShapeDtypeStruct((1, module.input_shape[0]), jnp.int32),)
