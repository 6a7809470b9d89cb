"""Metrics of language models: perplexity, bits per character or byte, exact match."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.metrics.accuracy import mean
from fdl.metrics.decisions import decide, weights_of
from fdl.metrics.scoring_rules import log_loss
from fdl.types import Array, Mean


class Perplexity(NamedTuple):
    """Exponential of a weighted mean, kept as two sums so that merging is exact.

    Attributes:
      total: Sum of the weighted negative log-likelihoods, in nats, float [].
      weight: Sum of the weights, float [].
    """

    total: Array
    weight: Array

    def compute(self) -> Array:
        """Perplexity, float []; NaN if the total weight is zero."""
        return jnp.exp(self.total / self.weight)


def perplexity(logits: Array, labels: Array, mask: Array | None = None) -> Perplexity:
    """Perplexity, exp(−Σ wᵢ log p(yᵢ) / Σ wᵢ): the effective number of choices.

    Merged over batches, it is that of all tokens together, and not a mean of the
    perplexities of the batches, which would depend on their sizes.

    Args:
      logits: Logits of the tokens, float [B, ..., V].
      labels: Token ids, int [B, ...].
      mask: Weights, [B, ...].

    Raises:
      UserError: The shapes do not match, or `logits` are not floats.

    Example:
      >>> perplexity(jnp.zeros((3, 10)), jnp.array([0, 5, 9])).compute()
      Array(10., dtype=float32)
    """
    return Perplexity(*log_loss(logits, labels, mask))


def bits_per(sizes: Array) -> Callable[..., Mean]:
    """Bits per character or per byte: −Σ wᵢ log₂ p(yᵢ) / Σ wᵢ size(yᵢ).

    Unlike perplexity, which depends on how a text is cut into tokens, it compares
    models of different tokenizers.

    Args:
      sizes: Number of characters, or of bytes, that each token stands for, int [V];
        zero for tokens without text, whose bits count all the same.

    Returns:
      Metric of logits, float [B, ..., V], token ids, int [B, ...], and a mask,
      [B, ...].

    Raises:
      UserError: When the metric is called: there is not one size for each token.

    Example:
      A uniform distribution over four tokens costs two bits a token; here, the tokens
      stand for three characters in all.

      >>> metric = bits_per(jnp.array([1, 2, 1, 1]))
      >>> metric(jnp.zeros((2, 4)), jnp.array([0, 1])).compute()
      Array(1.3333334, dtype=float32)
    """
    table = np.asarray(sizes, np.float32)

    def metric(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
        if table.shape != logits.shape[-1:]:
            raise UserError(
                f"sizes.shape={list(table.shape)}: expected [{logits.shape[-1]}], one "
                "for each token"
            )
        nats = log_loss(logits, labels, mask).total
        # A label that is no token makes the nats NaN already.
        size = mean(jnp.asarray(table).at[labels].get(mode="clip"), mask).total
        return Mean(nats / math.log(2), size)

    return metric


def exact_match(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
    """Exact match, the share of sequences all of whose tokens are predicted.

    Args:
      logits: Logits of the tokens, float [B, ..., T, V], or predictions, int
        [B, ..., T].
      labels: Token ids, int [B, ..., T].
      mask: Weights of the sequences, [B]; or of the tokens, [B, ..., T], where those of
        weight zero need not match and a sequence has the largest weight of its tokens.

    Raises:
      UserError: The shapes do not match, or labels have no axis of tokens.

    Example:
      >>> predicted = jnp.array([[4, 5, 0], [4, 6, 0]])
      >>> exact_match(predicted, jnp.array([[4, 5, 9], [4, 5, 9]])).compute()
      Array(0., dtype=float32)
      >>> mask = jnp.array([[1, 1, 0], [1, 1, 0]])
      >>> exact_match(predicted, jnp.array([[4, 5, 9], [4, 5, 9]]), mask).compute()
      Array(0.5, dtype=float32)
    """
    predicted, actual, valid, _ = decide(logits, labels)
    if actual.ndim < 2:
        raise UserError(
            f"labels.shape={list(actual.shape)}: expected sequences, [B, ..., T]"
        )
    weights = weights_of(mask, actual.shape)
    counts = weights != 0
    matches = ((predicted == actual) | ~counts).all(axis=-1)
    broken = (~valid & counts).any(axis=-1)
    return mean(jnp.where(broken, jnp.nan, matches), weights.max(axis=-1))
