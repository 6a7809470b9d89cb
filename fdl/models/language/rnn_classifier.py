"""Recurrent encoders and classifiers of token or feature sequences."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.rnn import RNN
from fdl.types import Array, PyTree


class RNNEncoder(nn.Module):
    """Recurrent encoder: maps tokens or features to a hidden state at each step.

    Intermediates: ``rnn/layer_0/states``, ..., the outputs of each layer.

    Attributes:
      hidden_size: Units of each layer and direction.
      num_layers: Number of layers.
      cell: Type of recurrent cell: "elman", "gru" or "lstm".
      bidirectional: Whether to add layers that run from the last token to the first.
      vocab_size: Size of the vocabulary; if None, inputs are features, not tokens.
      embedding_size: Size of the token embeddings; `hidden_size` if None.
      dropout: Dropout rate of the embeddings and between layers.
      forget_bias: Initial bias of the LSTM's forget gates.
      remat: Whether to rematerialise each layer in the backward pass.
      input_shape: Shape of an example without its batch axis, (steps, features) or, for
        tokens, (steps, ...); for `example` only.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.
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
        """Maps sequences to hidden states.

        Args:
          inputs: Tokens, int [B, T], or features, float [B, T, D].
          mask: bool [B, T], True at tokens; padding follows them.
          initial_carry: Carry of the layers before the first step; zeros by default.
          return_carry: Whether to return the carry after the last token as well.
          train: Whether to run in training mode.

        Returns:
          States, float [B, T, hidden_size], or [B, T, 2 hidden_size] if bidirectional,
          zero at padding; or a pair of these and the carry of each layer, as in `RNN`.
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
        """Shape of one sequence, as given by `input_shape`."""
        return _example(self)


class RNNClassifier(nn.Module):
    """Recurrent classifier of token or feature sequences.

    Intermediates: ``encoder/rnn/layer_0/states``, ..., the outputs of each layer;
    ``features``, the inputs of the classification head.

    Attributes:
      hidden_size: Units of each layer and direction.
      num_layers: Number of layers.
      cell: Type of recurrent cell: "elman", "gru" or "lstm".
      bidirectional: Whether to add layers that run from the last token to the first.
      pooling: Pooling of the states of the last layer: the "last" state of each
        direction, or the "mean" or "max" over tokens; "none" classifies each token by
        itself, for tagging.
      num_classes: Units of the classification head; if None there is no head, and the
        pooled features are returned.
      vocab_size: Size of the vocabulary; if None, inputs are features, not tokens.
      embedding_size: Size of the token embeddings; `hidden_size` if None.
      dropout: Dropout rate of the embeddings, between layers, and of the pooled
        features.
      forget_bias: Initial bias of the LSTM's forget gates.
      remat: Whether to rematerialise each layer in the backward pass.
      input_shape: Shape of an example without its batch axis, (steps, features) or, for
        tokens, (steps, ...); for `example` only.
      pad_token: Token id of padding, for tokens without a mask; None if there is none.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    Example:
      >>> module = RNNClassifier(8, bidirectional=True, num_classes=2, vocab_size=50)
      >>> tokens = jnp.array([[7, 3, 9, 0], [1, 2, 3, 4]])
      >>> variables = jax.jit(module.init)(jax.random.key(0), tokens)
      >>> jax.jit(module.apply)(variables, tokens, mask=tokens > 0).shape
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
    pad_token: int | None = None
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self, inputs: Array, *, mask: Array | None = None, train: bool = False
    ) -> Array:
        """Maps sequences to logits, float [B, num_classes].

        Without pooling, they are those of each token, float [B, T, num_classes].

        Args:
          inputs: Tokens, int [B, T], or features, float [B, T, D].
          mask: bool [B, T], True at tokens; padding follows them. If None, all but
            `pad_token` are tokens.
          train: Whether to run in training mode.
        """
        if mask is None and self.pad_token is not None and inputs.ndim == 2:
            mask = inputs != self.pad_token
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
        if self.pooling == "none":
            return states
        if self.pooling == "last":
            # The carry, and not the output of the last step, which may be padding; an
            # LSTM's is (c, h). It may be wider than the states, hence the cast.
            last = carry[-1] if self.bidirectional else carry[-1:]
            h = [c[-1] if self.cell == "lstm" else c for c in last]
            return jnp.concatenate(h, axis=-1).astype(states.dtype)
        tokens = jnp.ones(states.shape[:2], bool) if mask is None else mask
        if self.pooling == "mean":
            # States are zero at padding. An empty sequence has the mean zero.
            count = jnp.maximum(tokens.sum(axis=1, keepdims=True), 1)
            return states.sum(axis=1) / count.astype(states.dtype)
        if self.pooling == "max":
            # States of all cells lie in [-1, 1]. Unlike -inf, -1 keeps the result of an
            # empty sequence finite.
            return jnp.where(tokens[..., None], states, -1.0).max(axis=1)
        raise UserError(
            f"pooling={self.pooling!r}: expected 'last', 'mean', 'max' or 'none'"
        )

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one sequence, as given by `input_shape`."""
        return _example(self)


def _example(module):
    if module.vocab_size is None:
        return (jax.ShapeDtypeStruct((1, *module.input_shape), jnp.float32),)
    return (jax.ShapeDtypeStruct((1, module.input_shape[0]), jnp.int32),)
