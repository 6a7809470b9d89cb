"""Metrics that are means over examples."""

import math

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.decisions import decide, weights_of
from fdl.types import Array, Mean


def mean(values: Array, mask: Array | None = None) -> Mean:
    """The weighted mean over examples, Σ wᵢvᵢ / Σ wᵢ.

    Sums are float32: a mean over n merged batches has a relative error of about
    √n · 6e-8.

    Args:
      values: One number per example or per part of it, [B, ...].
      mask: Weights of the examples, [B], or of their parts, [B, ...]; zero for padding.
        Axes that it does not have are averaged. Default: all examples weigh one.

    Raises:
      UserError: The mask does not fit.

    Example:
      >>> mean(jnp.array([1.0, 3.0, 9.0]), jnp.array([1.0, 1.0, 0.0])).compute()
      Array(2., dtype=float32)
    """
    values = jnp.asarray(values)
    values = values.astype(jnp.promote_types(values.dtype, jnp.float32))
    num_axes = 1 if mask is None else jnp.ndim(mask)
    weights = weights_of(mask, values.shape[:num_axes])
    rest = math.prod(values.shape[weights.ndim :])
    values = values.reshape(*weights.shape, rest).mean(axis=-1)
    # What is masked may be anything, even NaN.
    return Mean(jnp.where(weights > 0, values * weights, 0).sum(), weights.sum())


def accuracy(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
    """The share of labels that are chosen, Σ wᵢ[ŷᵢ = yᵢ] / Σ wᵢ.

    NaN if a label that counts is no class.

    Args:
      logits: Float [B, ..., C]: the largest is chosen, of equal ones that of the lowest
        index. Or float [B, ...], the logit of class 1 of two; or what was chosen, class
        indices or bool [B, ...].
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].

    Example:
      >>> accuracy(jnp.array([[0.2, 0.9], [2.0, 1.0]]), jnp.array([1, 1])).compute()
      Array(0.5, dtype=float32)
    """
    predicted, actual, valid, _ = decide(logits, labels)
    return mean(jnp.where(valid, predicted == actual, jnp.nan), mask)


def top_k_accuracy(
    logits: Array, labels: Array, mask: Array | None = None, *, k: int = 5
) -> Mean:
    """The share of labels that are among the k largest logits.

    Of equal logits, those of lower indices come first, as in `accuracy`, which it is
    for k = 1, and in `jax.lax.top_k`; scikit-learn lets the higher index win.

    Args:
      logits: Float [B, ..., C].
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      k: How many may be chosen.

    Raises:
      UserError: There are fewer than k classes.

    Example:
      >>> top_k_accuracy(jnp.array([[0.1, 0.7, 0.2]]), jnp.array([2]), k=2).compute()
      Array(1., dtype=float32)
    """
    logits = jnp.asarray(logits)
    _, actual, valid, num_classes = decide(logits, labels)
    if logits.ndim == actual.ndim or not num_classes or not 1 <= k <= num_classes:
        raise UserError(
            f"k is {k}, but logits are {list(logits.shape)}: "
            "expected at least k classes on the last axis"
        )
    score = jnp.take_along_axis(logits, actual[..., None], axis=-1, mode="clip")
    place = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    before = place < actual[..., None]
    ahead = (logits > score) | ((logits == score) & before)
    found = ahead.sum(axis=-1) < k
    return mean(jnp.where(valid, found, jnp.nan), mask)
