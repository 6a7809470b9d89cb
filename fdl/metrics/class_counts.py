"""Per-class counts of true positives, predictions and labels."""

from typing import NamedTuple

import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.decisions import decide, is_multilabel, weights_of
from fdl.metrics.exact_counts import Counts, count, nan_if_invalid
from fdl.types import Array


class ClassCounts(NamedTuple):
    """Counts of true positives, predictions and labels of each class.

    Attributes:
      hits: True positives, [C].
      predicted: Predictions of the class, true and false positives, [C].
      actual: Labels of the class, true positives and false negatives, [C].
    """

    hits: Counts
    predicted: Counts
    actual: Counts


def class_counts(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    num_classes: int | None = None,
) -> ClassCounts:
    """Per-class counts of examples with a single label.

    Args:
      logits: Logits or class indices, as in `fdl.metrics.decisions.decide`.
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      num_classes: Number of classes; required if `logits` are class indices.

    Raises:
      UserError: The shapes do not match, or the number of classes is not known.
    """
    predicted, actual, valid, num_classes = decide(logits, labels, num_classes)
    size = needed(num_classes)
    weights = weights_of(mask, actual.shape)

    def by_class(classes, weights_of_class):
        # Invalid classes go into a group that is not counted; `nan_if_invalid` then
        # marks the counts as NaN, if any of these has a weight.
        groups = jnp.where(valid, classes, size)
        return nan_if_invalid(count(groups, weights_of_class, size), valid, weights)

    hits = by_class(actual, weights * (predicted == actual))
    return ClassCounts(hits, by_class(predicted, weights), by_class(actual, weights))


def label_counts(
    logits: Array, labels: Array, mask: Array | None = None
) -> ClassCounts:
    """Per-label counts of multi-label examples.

    Args:
      logits: Logits, float [B, ..., L], positive predictions where not negative; or
        predictions, bool [B, ..., L].
      labels: 0 or 1, int or bool [B, ..., L].
      mask: Weights, [B, ...].

    Raises:
      UserError: The shapes differ, or there is no axis of labels.
    """
    check_multilabel(logits, labels)
    predicted, actual, valid, _ = decide(logits, labels)
    weights = weights_of(mask, actual.shape)
    num_labels = actual.shape[-1]
    columns = jnp.broadcast_to(jnp.arange(num_labels), actual.shape)

    def by_label(positive):
        return nan_if_invalid(
            count(columns, weights * positive, num_labels), valid, weights
        )

    return ClassCounts(
        by_label(predicted * actual), by_label(predicted), by_label(actual)
    )


def check_multilabel(logits: Array, labels: Array) -> None:
    """Raises `UserError` unless inputs are multi-label, [B, ..., L] for both."""
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    if not is_multilabel(logits, labels):
        raise UserError(
            f"logits={logits.dtype} {list(logits.shape)}, labels={list(labels.shape)}: "
            "expected several labels per example, float or bool [B, L] for both"
        )


def needed(num_classes: int | None) -> int:
    """Number of classes, if it is known.

    Raises:
      UserError: It is None.
    """
    if num_classes is None:
        raise UserError(
            "num_classes=None: expected the number of classes along with class indices"
        )
    return num_classes
