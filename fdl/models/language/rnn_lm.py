"""Recurrent networks that say which token comes next."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.models.layers.dense import dense, tied_logits
from fdl.models.rnn import RNN
from fdl.types import Array, PyTree


class RNNLanguageModel(nn.Module):
    """An embedding, recurrent layers, and a readout of the next token.

    What the layers carry goes in and out, so that a text may be read in parts, with the
    gradient truncated between them, or written a token at a time. Intermediates:
    ``rnn/layer_0/states``, ..., the outputs of each layer.

    Attributes:
      hidden_size: Units of each layer.
      num_layers: Layers.
      cell: "elman", "gru" or "lstm".
      tie_embeddings: Whether the readout is the embedding, transposed, and has no bias.
      vocab_size: How many tokens there are.
      embedding_size: Features of a token; `hidden_size` where None.
      dropout: Fraction of the embeddings and of the outputs of each layer that is
        dropped in training; what is carried through time is not touched.
      forget_bias: What the bias of the LSTM's forget gates begins as.
      kernel_init: Initialiser of all kernels and of the embedding; that of each layer
        where None.
      remat: Whether what a layer computes is computed again in the backward pass.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Zaremba, Sutskever and Vinyals, `Recurrent Neural Network Regularization
      <https://arxiv.org/abs/1409.2329>`_, 2014.
      Press and Wolf, `Using the Output Embedding to Improve Language Models
      <https://arxiv.org/abs/1608.05859>`_, 2016.

    Example:
      Truncated backpropagation through time reads a text in parts:

      >>> module = RNNLanguageModel(8, vocab_size=50)
      >>> tokens = jnp.arange(12).reshape(2, 6)
      >>> variables = module.init(jax.random.key(0), tokens)
      >>> _, carry = module.apply(variables, tokens[:, :3], return_carry=True)
      >>> carry = jax.lax.stop_gradient(carry)
      >>> logits = module.apply(variables, tokens[:, 3:], initial_carry=carry)
      >>> whole = module.apply(variables, tokens)
      >>> bool(jnp.allclose(logits, whole[:, 3:], atol=1e-6))
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

    @nn.compact
    def __call__(
        self,
        tokens: Array,
        *,
        mask: Array | None = None,
        initial_carry: PyTree | None = None,
        return_carry: bool = False,
        train: bool = False,
    ) -> Any:
        """Maps tokens to logits of the next ones.

        Args:
          tokens: int [B, T].
          mask: bool [B, T], true where a token is; padding comes after the tokens.
          initial_carry: What the layers carry at the first token; zeros by default.
          return_carry: Whether what they carry after the last token comes out.
          train: Whether it is training.

        Returns:
          Logits, float [B, T, vocab_size]; or a pair of these and of the carry of each
          layer, as of `RNN`.
        """
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        size = self.embedding_size or self.hidden_size
        if self.tie_embeddings and size != self.hidden_size:
            raise ValueError(
                f"embedding_size is {size}, but tied embeddings need hidden_size, "
                f"{self.hidden_size}."
            )

        def init(*names: str) -> Any:
            return {name: self.kernel_init for name in names if self.kernel_init}

        embedding = nn.Embed(
            self.vocab_size, size, name="embedding", **init("embedding_init"), **dtypes
        )
        drop = nn.Dropout(self.dropout, deterministic=not train)
        rnn = RNN(
            self.hidden_size,
            self.num_layers,
            self.cell,
            dropout=self.dropout,
            forget_bias=self.forget_bias,
            remat=self.remat,
            name="rnn",
            **init("kernel_init", "recurrent_init"),
            **dtypes,
        )
        states, carry = rnn(
            drop(embedding(tokens)),
            mask=mask,
            initial_carry=initial_carry,
            return_carry=True,
            train=train,
        )
        if self.tie_embeddings:
            logits = tied_logits(embedding, drop(states))
        else:
            head = dense(self.vocab_size, name="head", **init("kernel_init"), **dtypes)
            logits = head(drop(states))
        return (logits, carry) if return_carry else logits

    @nn.nowrap
    def zero_carry(self, batch_size: int) -> PyTree:
        """What the layers carry before the first token: zeros."""
        options: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        rnn = RNN(self.hidden_size, self.num_layers, self.cell, **options)
        return rnn.zero_carry(batch_size)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """A text of 35 tokens; any number is taken."""
        return (jax.ShapeDtypeStruct((1, 35), jnp.int32),)


def zaremba_small(**options: Any) -> RNNLanguageModel:
    """Two LSTMs of 200, not regularised; 4,651,600 parameters.

    Args:
      **options: All others of `RNNLanguageModel`.
    """
    return _zaremba(200, 0.0, 0.1, **options)


def zaremba_medium(**options: Any) -> RNNLanguageModel:
    """Two LSTMs of 650; 19,775,200 parameters.

    The layers alone have 6,765,200; with the second bias of PyTorch's, 6,770,400.

    Args:
      **options: All others of `RNNLanguageModel`.
    """
    return _zaremba(650, 0.5, 0.05, **options)


def zaremba_large(**options: Any) -> RNNLanguageModel:
    """Two LSTMs of 1500; 66,022,000 parameters.

    The layers alone have 36,012,000; with the second bias of PyTorch's, 36,024,000.

    Args:
      **options: All others of `RNNLanguageModel`.
    """
    return _zaremba(1500, 0.65, 0.04, **options)


def _zaremba(hidden_size, dropout, scale, **options):
    published = {
        "dropout": dropout,
        "forget_bias": 0.0,
        "kernel_init": functools.partial(
            jax.random.uniform, minval=-scale, maxval=scale
        ),
    }
    return RNNLanguageModel(hidden_size, 2, **{**published, **options})
