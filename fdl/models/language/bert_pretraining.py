"""BERT with its pretraining heads."""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from fdl.models.language.bert import BERT
from fdl.models.layers import layer_norm
from fdl.models.layers.dense import tied_logits
from fdl.models.pretrained import Rules
from fdl.models.pretrained import bert as formats
from fdl.types import Array


class BERTPretraining(BERT):
    """BERT with the heads for masked language modelling and next-sentence prediction.

    The head for masked tokens shares its kernel with the token embedding. All other
    parameters are those of `BERT`, with the same names.

    Attributes:
      num_classes: Number of classes of the sentence-level head, 2 for next-sentence
        prediction; None, with a `pool` of ``"none"``, leaves masked language modelling.

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
        positions: Array | None = None,
        train: bool = False,
    ) -> Any:
        """Maps tokens to logits of masked tokens and logits of the next sentence.

        Args:
          tokens: Token ids, int [B, T].
          token_types: Segment ids, int [B, T]: the sentence that a token belongs to;
            zero if None.
          mask: bool [B, T], true at tokens and false at padding; if None, all but
            `pad_token` are tokens.
          positions: Indices of the K tokens of each text whose logits are computed, int
            [B, K]; all if None.
          train: Whether to run in training mode.

        Returns:
          Token logits, float [B, T or K, vocab_size], and the outputs of `BERT`, float
          [B, num_classes].
        """
        mask = self._mask(tokens, mask)
        x, embedding = self._encode(tokens, token_types, mask, train)
        y = x
        if positions is not None:
            y = jnp.take_along_axis(x, positions[..., None], axis=1)
        y = self.activation(self._dense(self.hidden_size, name="transform")(y))
        y = layer_norm(self.epsilon, name="transform_norm", **self._dtypes())(y)
        logits = tied_logits(embedding, y)
        zeros = nn.initializers.zeros
        bias = self.param("token_bias", zeros, (self.vocab_size,), self.param_dtype)
        # Axes are explicit, for users who make rank promotion an error.
        logits = logits + bias[None, None].astype(logits.dtype)
        # The published model has no dropout in front of the sentence-level head.
        return logits, self._read_out(x, mask, train=False)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of pretrained weights, by the name of their format."""
        return {
            "transformers": formats.PRETRAINING,
            "transformers_gamma": formats.PRETRAINING_GAMMA,
        }


def bert_base_pretraining(dropout: float = 0.1, **options: Any) -> BERTPretraining:
    """BERT-base with its pretraining heads; 110,106,428 parameters.

    Args:
      dropout: Dropout rate; see `BERT`.
      **options: Other attributes of `BERTPretraining`.
    """
    return BERTPretraining(12, 12, 768, dropout=dropout, **options)
