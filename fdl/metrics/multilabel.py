"""Multi-label metrics: subset accuracy, Hamming loss, and F-score per example."""

import jax.numpy as jnp

from fdl.metrics.accuracy import mean
from fdl.metrics.class_averaging import divide
from fdl.metrics.class_counts import check_multilabel
from fdl.metrics.decisions import decide, weights_of
from fdl.types import Array, Mean


def subset_accuracy(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
    """Subset accuracy, the share of examples with all labels correct.

    It is Σ wᵢ [Ŷᵢ = Yᵢ] / Σ wᵢ, also called exact match ratio.

    Args:
      logits: Logits, float [B, ..., L], positive predictions where not negative; or
        predictions, bool [B, ..., L].
      labels: 0 or 1, int [B, ..., L].
      mask: Weights, [B, ...].

    Raises:
      UserError: The shapes differ, or there is no axis of labels.
    """
    # Not of the maximum, of which XLA may leave NaN out.
    num_wrong = _wrong(logits, labels).sum(axis=-1)
    return mean(1 - jnp.sign(num_wrong), mask)


def hamming_loss(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
    """Hamming loss, the share of labels that are incorrect, Σ wᵢ |Ŷᵢ ≠ Yᵢ| / (L Σ wᵢ).

    Args:
      logits: Logits, float [B, ..., L], positive predictions where not negative; or
        predictions, bool [B, ..., L].
      labels: 0 or 1, int [B, ..., L].
      mask: Weights, [B, ...].

    Raises:
      UserError: The shapes differ, or there is no axis of labels.

    Example:
      >>> predicted = jnp.array([[True, False], [True, True]])
      >>> hamming_loss(predicted, jnp.array([[1, 0], [0, 1]])).compute()
      Array(0.25, dtype=float32)
    """
    return mean(_wrong(logits, labels).mean(axis=-1), mask)


def f_beta_of_examples(
    logits: Array,
    labels: Array,
    mask: Array | None,
    beta: float,
    undefined: float | None,
) -> Mean:
    """Mean over examples of the F-beta score of their labels; see `f_beta`.

    Args:
      logits: Logits, float [B, ..., L], or predictions, bool [B, ..., L].
      labels: 0 or 1, int [B, ..., L].
      mask: Weights, [B, ...].
      beta: Weight of recall relative to precision.
      undefined: Score of an example without positive labels or predictions; None
        leaves it out.

    Raises:
      UserError: The shapes differ, or there is no axis of labels.
    """
    check_multilabel(logits, labels)
    predicted, actual, valid, _ = decide(logits, labels)
    # As in `FScore`: with α = 1 / (1 + β²), β = ∞ is recall.
    alpha = 1 / (1 + beta**2)
    denominator = alpha * predicted.sum(axis=-1) + (1 - alpha) * actual.sum(axis=-1)
    scores = divide((predicted * actual).sum(axis=-1), denominator, undefined)
    if undefined is None:
        # Undefined scores are NaN, and are masked so that the mean is not NaN as well.
        weights = weights_of(mask, scores.shape)
        mask = jnp.where(denominator == 0, 0, weights)
    return mean(jnp.where(valid.all(axis=-1), scores, jnp.nan), mask)


def _wrong(logits, labels):
    """Incorrect labels as 1, correct ones as 0, invalid ones as NaN, [B, ..., L]."""
    check_multilabel(logits, labels)
    predicted, actual, valid, _ = decide(logits, labels)
    wrong = (predicted != actual).astype(jnp.float32)
    return jnp.where(valid, wrong, jnp.nan)
