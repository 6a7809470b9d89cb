"""One-against-rest reduction of classification to binary problems."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.class_averaging import check_average
from fdl.metrics.decisions import check_float, decide, weights_of
from fdl.metrics.scoring_rules import log_probabilities
from fdl.types import Array


class Problems(NamedTuple):
    """K binary problems on N examples.

    Attributes:
      scores: Scores, higher for likely positives, float32 [N, K].
      positive: True for positives, bool [N, K].
      weights: Weights, float32 [N, K].
      valid: True where scores and labels are valid, bool [N, K].
    """

    scores: Array
    positive: Array
    weights: Array
    valid: Array


def problems(logits: Array, labels: Array, mask: Array | None = None) -> Problems:
    """Binary problems of each class against the rest, or of each label.

    Args:
      logits: Logits of the classes, float [B, ..., C], each scored by the log-odds of
        its probability. Or scores of one problem, float [B], or of L labels, float
        [B, ..., L].
      labels: Class indices, int [B, ...]; or 0 and 1, of the shape of `logits`.
      mask: Weights, [B, ...].

    Raises:
      UserError: The shapes do not match, or `logits` are not floats.
    """
    logits = jnp.asarray(logits)
    check_float(logits)
    _, actual, valid, _ = decide(logits, labels)
    weights = weights_of(mask, actual.shape)
    # Logits of the shape of labels are one binary problem each; those with another axis
    # are classes.
    if logits.ndim == actual.ndim:
        size = actual.shape[-1] if actual.ndim > 1 else 1
        parts = logits.astype(jnp.float32), actual == 1, weights, valid
        return Problems(*(x.reshape(-1, size) for x in parts))
    size = logits.shape[-1]
    log_probs, _, _ = log_probabilities(logits, labels)
    positive = jax.nn.one_hot(actual, size, dtype=bool).reshape(-1, size)

    def for_all_classes(x):
        return jnp.broadcast_to(x.reshape(-1, 1), positive.shape)

    # Log-odds rank examples as probabilities do, but do not round to one.
    scores = log_odds(log_probs).reshape(-1, size)
    return Problems(scores, positive, for_all_classes(weights), for_all_classes(valid))


def log_odds(log_probs: Array) -> Array:
    """Log-odds of class probabilities, log p / (1 − p), numerically stable.

    Args:
      log_probs: Log-probabilities, float [..., C].

    Returns:
      Log-odds, float [..., C].
    """
    size = log_probs.shape[-1]
    largest = jax.nn.one_hot(jnp.argmax(log_probs, axis=-1), size, dtype=bool)
    # 1 − p of the largest probability cancels, so the others are summed instead.
    others = jax.nn.logsumexp(
        jnp.where(largest, -jnp.inf, log_probs), axis=-1, keepdims=True
    )
    # All other probabilities are at most ½, where log1p(−p) is accurate. The value −1
    # only keeps the unused entry finite.
    log_rest = jnp.log1p(-jnp.exp(jnp.where(largest, -1, log_probs)))
    return log_probs - jnp.where(largest, others, log_rest)


def check_problems(average: str, size: int) -> None:
    """Raises `UserError` if an average does not apply to this number of problems."""
    check_average(average, ("binary", "macro", "weighted"))
    if average == "binary" and size > 2:
        raise UserError(f"average='binary': expected two classes, not {size}")


def average_problems(scores: Array, positives: Array, average: str) -> Array:
    """Average of the scores of K binary problems.

    Args:
      scores: Scores of the problems, float [..., K].
      positives: Sums of the weights of their positives, float [..., K].
      average: "macro", the mean; "weighted", the mean weighted by positives, without
        problems that have none; "binary", the score of the last problem.

    Returns:
      Float [...]; NaN if any score with a weight is NaN.
    """
    if average == "binary":
        return scores[..., -1]
    if average == "macro":
        return scores.mean(axis=-1)
    # Without any positives all problems weigh the same, to avoid 0 / 0.
    empty = (positives == 0).all(axis=-1, keepdims=True)
    weights = jnp.where(empty, 1, positives)
    # The score of a problem without positives may be NaN, also times a weight of zero.
    weighted = jnp.where(weights == 0, 0, weights * scores)
    return weighted.sum(axis=-1) / weights.sum(axis=-1)
