"""Problems of classes as problems of yes or no."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.class_averaging import check_average
from fdl.metrics.decisions import check_float, decide, weights_of
from fdl.metrics.scoring_rules import log_probabilities
from fdl.types import Array


class Problems(NamedTuple):
    """K questions of yes or no about N examples.

    Attributes:
      scores: The higher the likelier yes, float32 [N, K].
      positive: Whether it is yes, bool [N, K].
      weights: Float32 [N, K].
      valid: Whether scores and answers can be trusted, bool [N, K].
    """

    scores: Array
    positive: Array
    weights: Array
    valid: Array


def problems(logits: Array, labels: Array, mask: Array | None = None) -> Problems:
    """Each class against the rest, or each label for itself.

    Args:
      logits: Float [B, ..., C]: a class is scored by the log-odds of its probability.
        Or float [B], one problem; or float [B, ..., L], L problems.
      labels: Class indices, int [B, ...]; or 0 and 1, of the shape of `logits`.
      mask: Weights, [B, ...].

    Raises:
      UserError: The shapes do not fit, or `logits` are no floats.
    """
    logits = jnp.asarray(logits)
    check_float(logits)
    _, actual, valid, _ = decide(logits, labels)
    weights = weights_of(mask, actual.shape)
    if logits.ndim == actual.ndim:
        size = actual.shape[-1] if actual.ndim > 1 else 1
        parts = logits.astype(jnp.float32), actual == 1, weights, valid
        return Problems(*(x.reshape(-1, size) for x in parts))
    size = logits.shape[-1]
    log_probs, _, _ = log_probabilities(logits, labels)
    positive = jax.nn.one_hot(actual, size, dtype=bool).reshape(-1, size)

    def for_all(x):
        return jnp.broadcast_to(x.reshape(-1, 1), positive.shape)

    odds = log_odds(log_probs).reshape(-1, size)
    return Problems(odds, positive, for_all(weights), for_all(valid))


def log_odds(log_probs: Array) -> Array:
    """log p / (1 − p) of the probabilities of classes, float [..., C]; stable."""
    size = log_probs.shape[-1]
    largest = jax.nn.one_hot(jnp.argmax(log_probs, axis=-1), size, dtype=bool)
    # 1 − p of the largest has no digits left: the others are added up instead.
    others = jax.nn.logsumexp(
        jnp.where(largest, -jnp.inf, log_probs), axis=-1, keepdims=True
    )
    log_rest = jnp.log1p(-jnp.exp(jnp.where(largest, -1, log_probs)))
    return log_probs - jnp.where(largest, others, log_rest)


def check_problems(average: str, size: int) -> None:
    """Raises `UserError` if K problems do not have such an average."""
    check_average(average, ("binary", "macro", "weighted"))
    if average == "binary" and size > 2:
        raise UserError(f"average 'binary' is of two classes, but there are {size}")


def average_problems(scores: Array, positives: Array, average: str) -> Array:
    """The scores of K problems as one number.

    Args:
      scores: Float [..., K].
      positives: The weight of the positives of each, float [..., K].
      average: "macro", the mean; "weighted", by positives, leaving out what has none;
        "binary", the last. NaN if any of what counts is.

    Returns:
      Float [...].
    """
    if average == "binary":
        return scores[..., -1]
    if average == "macro":
        return scores.mean(axis=-1)
    none = (positives == 0).all(axis=-1, keepdims=True)
    weights = jnp.where(none, 1, positives)
    counted = jnp.where(weights == 0, 0, weights * scores)
    return counted.sum(axis=-1) / weights.sum(axis=-1)
