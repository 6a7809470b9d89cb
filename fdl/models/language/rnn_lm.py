"""Recurrent language models."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers.dense import dense, tied_logits
from fdl.models.rnn import RNN
from fdl.types import Array, PyTree


class RNNLanguageModel(nn.Module):
    """Recurrent language model: embedding, recurrent layers and an output layer.

    The carry is an argument and a result, for truncated backpropagation through time
    and for sampling one token at a time. Intermediates: ``rnn/layer_0/states``, ...,
    the outputs of each layer.

    Attributes:
      hidden_size: Units of each layer.
      num_layers: Number of layers.
      cell: Type of recurrent cell: "elman", "gru" or "lstm".
      tie_embeddings: Whether the output layer is the transposed embedding, without a
        bias.
      vocab_size: Size of the vocabulary.
      embedding_size: Size of the token embeddings; `hidden_size` if None.
      dropout: Dropout rate of the embeddings and the outputs of each layer; recurrent
        connections are not dropped.
      forget_bias: Initial bias of the LSTM's forget gates.
      kernel_init: Initialiser of all kernels and of the embedding; if None, the default
        of each layer.
      remat: Whether to rematerialise each layer in the backward pass.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Zaremba, Sutskever and Vinyals, `Recurrent Neural Network Regularization
      <https://arxiv.org/abs/1409.2329>`_, 2014.
      Press and Wolf, `Using the Output Embedding to Improve Language Models
      <https://arxiv.org/abs/1608.05859>`_, 2016.

    Example:
      Truncated backpropagation through time processes a text in parts:

      >>> module = RNNLanguageModel(8, vocab_size=50)
      >>> tokens = jnp.arange(12).reshape(2, 6)
      >>> variables = jax.jit(module.init)(jax.random.key(0), tokens)
      >>> apply = jax.jit(module.apply, static_argnames="return_carry")
      >>> _, carry = apply(variables, tokens[:, :3], return_carry=True)
      >>> carry = jax.lax.stop_gradient(carry)
      >>> logits = apply(variables, tokens[:, 3:], initial_carry=carry)
      >>> full = apply(variables, tokens)
      >>> bool(jnp.allclose(logits, full[:, 3:], atol=1e-6))
      True
    """

    hidden_size: int
    num_layers: int = 1
    cell: str = "lstm"
    tie_embeddings: bool = False
    vocab_size: int = 10_000
    embedding_size: int | None = None
    dropout: float = 0.0
    forget_bias: float = 1.0
    kernel_init: Initializer | None = None
    remat: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Makes the layers that `logits` uses as well."""
        size = self.embedding_size or self.hidden_size
        if self.tie_embeddings and size != self.hidden_size:
            raise UserError(
                f"embedding_size={size}: expected hidden_size={self.hidden_size} with "
                "tied embeddings"
            )
        dtypes = self._dtypes()
        self.embedding = nn.Embed(
            self.vocab_size, size, **self._init("embedding_init"), **dtypes
        )
        if not self.tie_embeddings:
            self.head = dense(self.vocab_size, **self._init("kernel_init"), **dtypes)

    @nn.compact
    def __call__(
        self,
        tokens: Array,
        *,
        mask: Array | None = None,
        initial_carry: PyTree | None = None,
        return_carry: bool = False,
        return_features: bool = False,
        train: bool = False,
    ) -> Any:
        """Maps tokens to logits of the next tokens.

        Args:
          tokens: int [B, T].
          mask: bool [B, T], True at tokens; padding follows them.
          initial_carry: Carry of the layers before the first token; zeros by default.
          return_carry: Whether to return the carry after the last token as well.
          return_features: Whether to return the input of the output layer, float
            [B, T, hidden_size], for `logits`.
          train: Whether to run in training mode.

        Returns:
          Logits, float [B, T, vocab_size]; or a pair of these and the carry of each
          layer, as in `RNN`.
        """
        drop = nn.Dropout(self.dropout, deterministic=not train)
        rnn = RNN(
            self.hidden_size,
            self.num_layers,
            self.cell,
            dropout=self.dropout,
            forget_bias=self.forget_bias,
            remat=self.remat,
            name="rnn",
            **self._init("kernel_init", "recurrent_init"),
            **self._dtypes(),
        )
        states, carry = rnn(
            drop(self.embedding(tokens)),
            mask=mask,
            initial_carry=initial_carry,
            return_carry=True,
            train=train,
        )
        features = drop(states)
        outputs = features if return_features else self.logits(features)
        return (outputs, carry) if return_carry else outputs

    def logits(self, features: Array) -> Array:
        """Output layer: maps features, float [B, T, D], to logits, float [B, T, V].

        The logits of a large vocabulary need more memory than the rest of a network;
        with this method, not all of them have to be there at once.
        """
        if self.tie_embeddings:
            return tied_logits(self.embedding, features)
        return self.head(features)

    def _init(self, *names: str) -> dict[str, Any]:
        # Passed only if set, so that each layer otherwise keeps its own default.
        return {name: self.kernel_init for name in names if self.kernel_init}

    def _dtypes(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "param_dtype": self.param_dtype}

    @nn.nowrap
    def zero_carry(self, batch_size: int) -> PyTree:
        """Zero carry of all layers, for the first token."""
        rnn = RNN(self.hidden_size, self.num_layers, self.cell, **self._dtypes())
        return rnn.zero_carry(batch_size)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shape of one text of 35 tokens; any length is accepted."""
        return (jax.ShapeDtypeStruct((1, 35), jnp.int32),)


def zaremba_small(**options: Any) -> RNNLanguageModel:
    """Small LSTM of Zaremba et al., 2 × 200 units, no dropout; 4,651,600 parameters.

    Args:
      **options: Other attributes of `RNNLanguageModel`.
    """
    return _zaremba(200, 0.0, 0.1, **options)


def zaremba_medium(**options: Any) -> RNNLanguageModel:
    """Medium LSTM of Zaremba et al., 2 × 650 units; 19,775,200 parameters.

    The recurrent layers have 6,765,200 of them, or 6,770,400 with the second bias that
    PyTorch's cells have.

    Args:
      **options: Other attributes of `RNNLanguageModel`.
    """
    return _zaremba(650, 0.5, 0.05, **options)


def zaremba_large(**options: Any) -> RNNLanguageModel:
    """Large LSTM of Zaremba et al., 2 × 1500 units; 66,022,000 parameters.

    The recurrent layers have 36,012,000 of them, or 36,024,000 with the second bias
    that PyTorch's cells have.

    Args:
      **options: Other attributes of `RNNLanguageModel`.
    """
    return _zaremba(1500, 0.65, 0.04, **options)


def _zaremba(hidden_size, dropout, scale, **options):
    published = {
        "dropout": dropout,
        "forget_bias": 0.0,
        # An initialiser is called with a key, a shape and a dtype, as `uniform` is.
        "kernel_init": functools.partial(
            jax.random.uniform, minval=-scale, maxval=scale
        ),
    }
    return RNNLanguageModel(hidden_size, 2, **{**published, **options})
