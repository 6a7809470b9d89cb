"""BERT as it is pretrained."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from fdl.models.language.bert import BERT
from fdl.models.layers import layer_norm
from fdl.models.layers.dense import tied_logits
from fdl.models.pretrained import Rules
from fdl.models.pretrained import bert as formats
from fdl.types import Array


class BERTPretraining(BERT):
    """A `BERT` that also says which token stands in each place.

    In pretraining some tokens are hidden; what is read out of the rest is whether one
    part of the text follows the other (`num_classes` is 2). All other parameters are
    those of a `BERT`, and have the same names.

    Attributes:
      num_classes: As in `BERT`; with None and a `pool` of ``"none"`` there is nothing
        but the hidden tokens to learn from.

    References:
      Devlin et al., `BERT: Pre-training of Deep Bidirectional Transformers for Language
      Understanding <https://arxiv.org/abs/1810.04805>`_, 2018.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> module = BERTPretraining(2, 2, 8, vocab_size=16, max_length=4)
      >>> tokens, key = jnp.array([[1, 2, 3, 0]]), jax.random.key(0)
      >>> (token_logits, next_logits), variables = jax.eval_shape(
      ...     module.init_with_output, key, tokens
      ... )
      >>> token_logits.shape, next_logits.shape
      ((1, 4, 16), (1, 2))
    """

    num_classes: int | None = 2

    @nn.compact
    def __call__(
        self,
        tokens: Array,
        *,
        token_types: Array | None = None,
        mask: Array | None = None,
        train: bool = False,
    ) -> Any:
        """Maps tokens to logits of what they are, and to what `BERT` maps them.

        Args:
          tokens: int [B, T].
          token_types: Which part of the text a token belongs to, int [B, T]; zero by
            default.
          mask: bool [B, T], true where a token is.
          train: Whether it is training.

        Returns:
          float [B, T, vocab_size], and float [B, num_classes].
        """
        x, embedding = self._encode(tokens, token_types, mask, train)
        y = self.activation(self._dense(self.hidden_size, name="transform")(x))
        y = layer_norm(1e-12, name="transform_norm", **self._dtypes())(y)
        logits = tied_logits(embedding, y)
        zeros = nn.initializers.zeros
        bias = self.param("token_bias", zeros, (self.vocab_size,), self.param_dtype)
        logits = logits + bias[None, None].astype(logits.dtype)
        # There is no dropout in front of this readout.
        return logits, self._read_out(x, train=False)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Published weights that fit."""
        return {
            "transformers": formats.PRETRAINING,
            "transformers_gamma": formats.PRETRAINING_GAMMA,
        }


def bert_base_pretraining(dropout: float = 0.1, **options: Any) -> BERTPretraining:
    """BERT-base with the readouts of its pretraining; 110,106,428 parameters.

    Args:
      dropout: As of `BERT`.
      **options: All others of `BERTPretraining`.
    """
    return BERTPretraining(12, 12, 768, dropout=dropout, **options)
