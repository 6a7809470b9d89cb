"""How often each class was right, chosen and true."""

from typing import NamedTuple

import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.decisions import decide, is_multilabel, weights_of
from fdl.metrics.exact_counts import Counts, count, spoil
from fdl.types import Array


class ClassCounts(NamedTuple):
    """How often each class was right, chosen and true, each [C].

    Attributes:
      hits: Examples of the class for which it was chosen: true positives.
      predicted: Examples for which it was chosen: true and false positives.
      actual: Examples of the class: true positives and false negatives.
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
    """Counts of one label for each example; see `decide` for the arguments."""
    predicted, actual, valid, num_classes = decide(logits, labels, num_classes)
    size = needed(num_classes)
    weights = weights_of(mask, actual.shape)

    def of(classes, weights_of_class):
        groups = jnp.where(valid, classes, size)
        return spoil(count(groups, weights_of_class, size), valid, weights)

    hits = of(actual, weights * (predicted == actual))
    return ClassCounts(hits, of(predicted, weights), of(actual, weights))


def label_counts(
    logits: Array, labels: Array, mask: Array | None = None
) -> ClassCounts:
    """Counts of several labels for each example.

    Args:
      logits: Float [B, ..., L], chosen where not negative; or bool, what was chosen.
      labels: 0 or 1, int or bool [B, ..., L].
      mask: Weights, [B, ...].

    Raises:
      UserError: They are not of the same shape, or of one label only.
    """
    check_multilabel(logits, labels)
    predicted, actual, valid, _ = decide(logits, labels)
    weights = weights_of(mask, actual.shape)
    num_labels = actual.shape[-1]
    columns = jnp.broadcast_to(jnp.arange(num_labels), actual.shape)

    def of(chosen):
        return spoil(count(columns, weights * chosen, num_labels), valid, weights)

    return ClassCounts(of(predicted * actual), of(predicted), of(actual))


def check_multilabel(logits: Array, labels: Array) -> None:
    """Raises `UserError` where examples do not have several labels each."""
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    if not is_multilabel(logits, labels):
        raise UserError(
            "expected several labels for each example, float or bool [B, L] for both, "
            f"but there are {logits.dtype} {list(logits.shape)} and labels "
            f"{list(labels.shape)}"
        )


def needed(num_classes: int | None) -> int:
    """The number of classes, or a `UserError` that it has to be given."""
    if num_classes is None:
        raise UserError(
            "num_classes is missing: class indices do not say how many there are"
        )
    return num_classes
