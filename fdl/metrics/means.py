"""Metrics that are means over examples."""

import chex
import jax.numpy as jnp

from fdl.types import Array, Mean


def mean(values: Array, mask: Array | None = None) -> Mean:
    """The mean over examples.

    Args:
      values: One number per example, float [B, ...]; trailing axes are averaged.
      mask: Weight of each example, float [B]; zero for padding. Default: all one.

    Example:
      >>> mean(jnp.array([1.0, 3.0, 9.0]), jnp.array([1.0, 1.0, 0.0])).compute()
      Array(2., dtype=float32)
    """
    values = values.reshape(values.shape[0], -1).mean(axis=-1)
    if mask is None:
        mask = jnp.ones_like(values)
    chex.assert_equal_shape([values, mask])
    # What is masked may be anything, even NaN.
    total = jnp.where(mask > 0, values * mask, 0).sum()
    return Mean(total, mask.sum())


def accuracy(logits: Array, labels: Array, mask: Array | None = None) -> Mean:
    """The share of examples whose most likely class is their label.

    Args:
      logits: Float [B, ..., C]. Of equal logits, the lowest index wins.
      labels: Class indices, int [B, ...].
      mask: Weight of each example, float [B].
    """
    chex.assert_rank(logits, labels.ndim + 1)
    correct = jnp.argmax(logits, axis=-1) == labels
    return mean(correct.astype(jnp.float32), mask)


def mean_absolute_error(
    predictions: Array, targets: Array, mask: Array | None = None
) -> Mean:
    """The mean absolute difference, in the units of the targets.

    Args:
      predictions: Float [B, ...].
      targets: Float [B, ...].
      mask: Weight of each example, float [B].
    """
    chex.assert_equal_shape([predictions, targets])
    return mean(jnp.abs(predictions - targets), mask)
