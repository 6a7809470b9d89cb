"""What metrics are given: logits or decisions, labels, and a mask."""

from typing import NamedTuple

import jax.numpy as jnp

from fdl.errors import UserError
from fdl.types import Array


class Decisions(NamedTuple):
    """Which class was chosen for each label.

    Attributes:
      predicted: The class that was chosen, int32 [B, ...].
      actual: The class that it is, int32 [B, ...].
      valid: Whether both are classes, and chosen by numbers, bool [B, ...].
      num_classes: How many classes there are; None if nothing says so.
    """

    predicted: Array
    actual: Array
    valid: Array
    num_classes: int | None


def decide(logits: Array, labels: Array, num_classes: int | None = None) -> Decisions:
    """Reads decisions from any of the forms that metrics of classes take.

    Args:
      logits: Float [B, ..., C]: the largest is chosen, of equal ones that of the lowest
        index. Or float [B, ...], the logit of class 1 of two, chosen if it is not
        negative: a probability of at least one half. Or what was chosen: bool
        [B, ...] of two classes, or class indices, int [B, ...].
      labels: Class indices, int or bool [B, ...].
      num_classes: Needed by some metrics if `logits` are class indices.

    Raises:
      UserError: The shapes do not fit, or labels are no integers.
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    actual = _class_indices(labels)
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        _check_equal(logits, labels)
        if logits.dtype == bool:
            num_classes = 2
        predicted = logits.astype(jnp.int32)
        numbers = _known(predicted, num_classes)
    elif logits.shape == labels.shape:
        num_classes = 2
        predicted = (logits >= 0).astype(jnp.int32)
        numbers = ~jnp.isnan(logits)
    else:
        num_classes = _num_classes(logits, labels)
        predicted = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        numbers = ~jnp.isnan(jnp.max(logits, axis=-1))
    valid = _known(actual, num_classes) & numbers
    return Decisions(predicted, actual, valid, num_classes)


def check_float(logits: Array) -> None:
    """Raises `UserError` if these are decisions, but probabilities are needed."""
    if not jnp.issubdtype(logits.dtype, jnp.floating):
        raise UserError(
            f"logits are {logits.dtype}: decisions have no probabilities or order"
        )


def is_multilabel(logits: Array, labels: Array) -> bool:
    """Whether each example has several labels: float or bool [B, ..., L] for both."""
    decided = not jnp.issubdtype(logits.dtype, jnp.integer)
    return decided and logits.ndim > 1 and logits.shape == labels.shape


def weights_of(mask: Array | None, shape: tuple[int, ...]) -> Array:
    """The weight of each of the numbers that count, float32 of a shape.

    Args:
      mask: Weights of examples, [B], or of their parts, [B, ...]. Default: all one.
      shape: Of the numbers; it begins with that of the mask.

    Raises:
      UserError: It does not.
    """
    if mask is None:
        return jnp.ones(shape, jnp.float32)
    mask = jnp.asarray(mask)
    if not mask.ndim or mask.shape != shape[: mask.ndim]:
        raise UserError(
            f"mask is {list(mask.shape)}, but what it weighs is {list(shape)}: "
            "expected one weight for each example"
        )
    weights = jnp.where(mask > 0, mask, 0).astype(jnp.float32)
    return jnp.broadcast_to(
        jnp.expand_dims(weights, range(mask.ndim, len(shape))), shape
    )


def _class_indices(labels):
    if jnp.issubdtype(labels.dtype, jnp.floating):
        raise UserError(f"labels are {labels.dtype}, but have to be class indices")
    return labels.astype(jnp.int32)


def _known(classes, num_classes):
    above = True if num_classes is None else classes < num_classes
    return (classes >= 0) & above


def _check_equal(logits, labels):
    if logits.shape != labels.shape:
        raise UserError(
            f"predicted classes are {list(logits.shape)}, "
            f"but labels are {list(labels.shape)}: expected one for each label"
        )


def _num_classes(logits, labels):
    if logits.shape[:-1] != labels.shape or not logits.ndim:
        raise UserError(
            f"logits are {list(logits.shape)}, but labels are {list(labels.shape)}: "
            "expected one more axis, the classes, or the same for two classes"
        )
    if logits.shape[-1] < 2:
        raise UserError(
            f"logits are {list(logits.shape)}, of one class: for two classes with one "
            "logit each, drop the last axis"
        )
    return logits.shape[-1]
