"""Convolutional networks for sentence classification."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers import conv
from fdl.types import Array


class TextCNN(nn.Module):
    """Convolutional network for sentence classification, of Kim.

    Convolutions of several widths over the token embeddings, a maximum over time of
    each feature, and a linear layer. A filter sees every window with a token in it, and
    zeros beyond the ends of the text: so a text may be shorter than a filter, and
    padding changes nothing. Intermediates: ``features``, the maxima, the inputs of the
    linear layer.

    Attributes:
      num_classes: Number of classes; None omits the linear layer and returns the
        features.
      vocab_size: Number of tokens in the vocabulary.
      embedding_size: Size of the token embeddings.
      widths: Widths of the filters, in tokens.
      num_filters: Number of filters of each width.
      dropout: Dropout rate of the features.
      pad_token: Token id of padding, for texts without a mask; None if there is none.
      max_length: Number of tokens of `example`; any number is accepted.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Kim, `Convolutional Neural Networks for Sentence Classification
      <https://arxiv.org/abs/1408.5882>`_, 2014.

    Example:
      >>> module = TextCNN(2, vocab_size=50, pad_token=0)
      >>> tokens = jnp.array([[7, 4, 0, 0], [5, 6, 7, 8]])
      >>> variables = jax.jit(module.init)(jax.random.key(0), tokens)
      >>> module.apply(variables, tokens).shape
      (2, 2)
    """

    num_classes: int | None
    vocab_size: int = 10_000
    embedding_size: int = 300
    widths: Sequence[int] = (3, 4, 5)
    num_filters: int = 100
    dropout: float = 0.5
    pad_token: int | None = None
    max_length: int = 64
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self, tokens: Array, *, mask: Array | None = None, train: bool = False
    ) -> Array:
        """Maps tokens to logits, float [B, num_classes].

        Args:
          tokens: Token ids, int [B, T].
          mask: bool [B, T], true at tokens and false at padding; if None, all but
            `pad_token` are tokens.
          train: Whether to run in training mode.
        """
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        if mask is None:
            present = jnp.ones(tokens.shape, bool)
            mask = present if self.pad_token is None else tokens != self.pad_token
        embed: Callable[..., nn.Embed] = functools.partial(
            nn.Embed,
            embedding_init=_uniform,
            name="token_embedding",
            **dtypes,
        )
        x = embed(self.vocab_size, self.embedding_size)(tokens)
        x = jnp.where(mask[..., None], x, 0)
        maxima = [self._max_over_time(x, mask, width, dtypes) for width in self.widths]
        x = jnp.concatenate(maxima, axis=-1)
        self.sow("intermediates", "features", x)
        if self.num_classes is None:
            return x
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return nn.Dense(self.num_classes, name="head", **dtypes)(x)

    def _max_over_time(self, x, mask, width, dtypes):
        """Largest activation of each filter, float [B, num_filters]."""
        ends = (width - 1, width - 1)
        convolve = conv(
            self.num_filters, (width,), padding=[ends], name=f"conv_{width}", **dtypes
        )
        y = nn.relu(convolve(x))
        # A window counts if it has a token; rectified, a text without one has zeros.
        sees = jnp.pad(mask, ((0, 0), ends))
        windows = [sees[:, i : i + y.shape[1]] for i in range(width)]
        counts = functools.reduce(jnp.logical_or, windows)
        return jnp.where(counts[..., None], y, 0).max(axis=1)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one text of `max_length` tokens."""
        return (jax.ShapeDtypeStruct((1, self.max_length), jnp.int32),)


def _uniform(key, shape, dtype):
    return jax.random.uniform(key, shape, dtype, -0.25, 0.25)


def kim_cnn(num_classes: int = 6, **options: Any) -> TextCNN:
    """Kim's network for TREC's 9,592 words and 6 classes; 3,239,706 parameters.

    The paper also limits the norm of the weights of each class to 3, by
    ``optax.masked(optim.max_norm(3.0), optim.masks.matching("head"))`` after all other
    parts of the optimizer.

    Args:
      num_classes: Number of classes.
      **options: Other attributes of `TextCNN`.
    """
    return TextCNN(num_classes, **{"vocab_size": 9592, **options})
