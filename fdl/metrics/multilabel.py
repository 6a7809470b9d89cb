"""Metrics of examples that have several labels each."""

import jax.numpy as jnp

from fdl.metrics.accuracy import mean
from fdl.metrics.class_averaging import divide
from fdl.metrics.class_counts import check_multilabel
from fdl.metrics.decisions import decide, weights_of
from fdl.types import Array, Mean


def subset_accuracy(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
    """The share of examples of which every label is right, Σ wᵢ[Ŷᵢ = Yᵢ] / Σ wᵢ.

    Args:
      logits: Float [B, ..., L], chosen where not negative; or bool, what was chosen.
      labels: 0 or 1, int [B, ..., L].
      mask: Weights, [B, ...].

    Raises:
      UserError: They are not of several labels for each example.
    """
    return mean(1 - _wrong(logits, labels).max(axis=-1), mask)


def hamming_loss(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
    """The share of labels that are wrong, Σ wᵢ |Ŷᵢ ≠ Yᵢ| / (L Σ wᵢ).

    Args:
      logits: Float [B, ..., L], chosen where not negative; or bool, what was chosen.
      labels: 0 or 1, int [B, ..., L].
      mask: Weights, [B, ...].

    Raises:
      UserError: They are not of several labels for each example.

    Example:
      >>> chosen = jnp.array([[True, False], [True, True]])
      >>> hamming_loss(chosen, jnp.array([[1, 0], [0, 1]])).compute()
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
    """The mean over examples of the F-score of their labels; see `f_beta`."""
    check_multilabel(logits, labels)
    predicted, actual, valid, _ = decide(logits, labels)
    share = 1 / (1 + beta**2)
    mixed = share * predicted.sum(axis=-1) + (1 - share) * actual.sum(axis=-1)
    scores = divide((predicted * actual).sum(axis=-1), mixed, undefined)
    if undefined is None:
        weights = weights_of(mask, scores.shape)
        mask = jnp.where(mixed == 0, 0, weights)
    return mean(jnp.where(valid.all(axis=-1), scores, jnp.nan), mask)


def _wrong(logits, labels):
    """One for each label that is wrong, float32 [B, ..., L]; NaN if it is no label."""
    check_multilabel(logits, labels)
    predicted, actual, valid, _ = decide(logits, labels)
    wrong = (predicted != actual).astype(jnp.float32)
    return jnp.where(valid, wrong, jnp.nan)
