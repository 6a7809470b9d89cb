"""Inputs of metrics: logits or predictions, labels, and a mask."""

from typing import NamedTuple

import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array


class Decisions(NamedTuple):
    """Predicted and actual classes.

    Attributes:
      predicted: Predicted class indices, int32 [B, ...].
      actual: Class indices of the labels, int32 [B, ...].
      valid: True where both are class indices, and the logits have probabilities: none
        is NaN, and the largest of several is finite, bool [B, ...].
      num_classes: Number of classes; None if it is not known.
    """

    predicted: Array
    actual: Array
    valid: Array
    num_classes: int | None


def decide(logits: Array, labels: Array, num_classes: int | None = None) -> Decisions:
    """Predictions from any of the forms that classification metrics take.

    Args:
      logits: Logits of the classes, float [B, ..., C]: the largest is the prediction,
        of equal ones that of the lowest index. Or the logit of class 1 of two, float
        [B, ...], predicted if it is not negative: a probability of at least one half.
        Or predictions: bool [B, ...] of two classes, or class indices, int [B, ...].
      labels: Class indices, int or bool [B, ...].
      num_classes: Number of classes; required by some metrics if `logits` are class
        indices.

    Raises:
      UserError: The shapes do not match, or labels are not integers.
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    actual = _class_indices(labels)
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        _check_equal(logits, labels)
        if logits.dtype == bool:
            num_classes = 2
        predicted = logits.astype(jnp.int32)
        valid_predictions = _is_class(predicted, num_classes)
    elif logits.shape == labels.shape:
        num_classes = 2
        predicted = (logits >= 0).astype(jnp.int32)
        valid_predictions = ~jnp.isnan(logits)
    else:
        num_classes = _num_classes(logits, labels)
        predicted = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        # A softmax is NaN if a logit is, or if the largest is infinite; logits of minus
        # infinity are classes of probability zero. XLA may leave NaN out of a maximum.
        missing = jnp.isnan(logits).any(axis=-1)
        valid_predictions = ~missing & jnp.isfinite(jnp.max(logits, axis=-1))
    valid = _is_class(actual, num_classes) & valid_predictions
    return Decisions(predicted, actual, valid, num_classes)


def check_float(logits: Array) -> None:
    """Raises `UserError` unless logits are floats, which have probabilities."""
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise UserError(
            f"logits.dtype={logits.dtype}: expected floats, "
            "as class indices have no probabilities"
        )


def is_multilabel(logits: Array, labels: Array) -> bool:
    """True if each example has several labels: logits and labels are [B, ..., L]."""
    # Integers of the same shape are class indices of the parts of an example.
    per_label = not jnp.issubdtype(logits.dtype, jnp.integer)
    return per_label and logits.ndim > 1 and logits.shape == labels.shape


def weights_of(mask: Array | None, shape: tuple[int, ...]) -> Array:
    """Weights of a mask, broadcast to the shape of the values, float32.

    Args:
      mask: Weights of examples, [B], or of their parts, [B, ...]. Default: ones.
      shape: Shape of the values, which begins with that of the mask.

    Raises:
      UserError: The shape of the mask does not match.
    """
    if mask is None:
        return jnp.ones(shape, jnp.float32)
    mask = jnp.asarray(mask)
    if not mask.ndim or mask.shape != shape[: mask.ndim]:
        raise UserError(
            f"mask.shape={list(mask.shape)}: "
            f"expected one weight per example of {list(shape)}"
        )
    # Negative weights become zero. NaN stays, so that the metric is NaN as well.
    weights = jnp.where(mask <= 0, 0, mask).astype(jnp.float32)
    return jnp.broadcast_to(
        jnp.expand_dims(weights, range(mask.ndim, len(shape))), shape
    )


def _class_indices(labels):
    if jnp.issubdtype(labels.dtype, jnp.floating):
        raise UserError(f"labels.dtype={labels.dtype}: expected class indices")
    return labels.astype(jnp.int32)


def _is_class(indices, num_classes):
    """True for class indices; any from 0 on, if the number of classes is not known."""
    below = True if num_classes is None else indices < num_classes
    return (indices >= 0) & below


def _check_equal(logits, labels):
    if logits.shape != labels.shape:
        raise UserError(
            f"logits.shape={list(logits.shape)}, labels.shape={list(labels.shape)}: "
            "expected one predicted class per label"
        )


def _num_classes(logits, labels):
    if logits.shape[:-1] != labels.shape or not logits.ndim:
        raise UserError(
            f"logits.shape={list(logits.shape)}, labels.shape={list(labels.shape)}: "
            "expected one more axis for the classes, or the same shape for two classes"
        )
    if logits.shape[-1] < 2:
        raise UserError(
            f"logits.shape={list(logits.shape)}: expected at least two classes on the "
            "last axis; with one logit for two classes, drop the last axis"
        )
    return logits.shape[-1]
