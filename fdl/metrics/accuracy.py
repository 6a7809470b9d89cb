"""Metrics that are means over examples."""

import math

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.decisions import decide, weights_of
from fdl.types import Array, Mean


def mean(values: Array, mask: Array | None = None) -> Mean:
    """Weighted mean over examples, Σ wᵢvᵢ / Σ wᵢ.

    Sums are float32: a mean over n merged batches has a relative error of about
    √n · 6e-8.

    Args:
      values: Values of the examples or of their parts, [B, ...].
      mask: Weights of the examples, [B], or of their parts, [B, ...]; zero for padding.
        Axes that it does not have are averaged. Default: all examples have weight one.

    Raises:
      UserError: The shape of the mask does not match.

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
    # Masked values may be NaN, and a product with zero would be NaN as well.
    return Mean(jnp.where(weights == 0, 0, values * weights).sum(), weights.sum())


def accuracy(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
    """Accuracy, the share of correct predictions, Σ wᵢ [ŷᵢ = yᵢ] / Σ wᵢ.

    It is NaN if a label that is not masked is no class index, or if its logits have no
    probabilities: NaN, or a largest of several that is infinite.

    Args:
      logits: Logits of the classes, float [B, ..., C]: the largest is the prediction,
        of equal ones that of the lowest index. Or the logit of class 1 of two, float
        [B, ...]; or predictions, class indices or bool [B, ...].
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
    """Top-k accuracy, the share of labels that are among the k largest logits.

    Of equal logits, those of lower indices come first, as in `jax.lax.top_k`, so that
    k = 1 gives `accuracy`; scikit-learn puts the higher index first.

    Args:
      logits: Logits of the classes, float [B, ..., C].
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      k: Number of predictions per label, from 1 to C.

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
            f"k={k}: expected from 1 to the number of classes on the last axis of "
            f"logits {list(logits.shape)}"
        )
    # Counting the classes that rank before the label is cheaper than a sort. Invalid
    # labels are clipped here, and their result is replaced by NaN below.
    score = jnp.take_along_axis(logits, actual[..., None], axis=-1, mode="clip")
    classes = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    lower_index = classes < actual[..., None]
    ahead = (logits > score) | ((logits == score) & lower_index)
    correct = ahead.sum(axis=-1) < k
    return mean(jnp.where(valid, correct, jnp.nan), mask)
