"""Class labels: whether they are right, and how much each of them counts."""

from collections.abc import Sequence

import chex
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.types import Array


def check_labels(
    labels: np.ndarray | Array, num_classes: int, *, ignore: int | None = None
) -> None:
    """Looks at all labels on the host, before the training: each has to be a class.

    Inside a compiled step a wrong label makes the loss NaN; here it is an error.

    Args:
      labels: Class indices, int [...].
      num_classes: How many classes there are: 0 to ``num_classes - 1``.
      ignore: A label that is right nevertheless.

    Raises:
      UserError: They are no integers, or one of them is no class.

    Example:
      >>> check_labels(np.array([0, 1, 2]), 2)
      Traceback (most recent call last):
      fdl.errors.UserError: label[2] is 2, but the classes are 0 to 1.
    """
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"labels are {labels.dtype}, but have to be integers.")
    wrong = (labels < 0) | (labels >= num_classes)
    if ignore is not None:
        wrong &= labels != ignore
    if not wrong.any():
        return
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = ", ".join(map(str, first))
    shown = f"label[{place}] is {labels[first]}" if first else f"label is {labels}"
    message = f"{shown}, but the classes are 0 to {num_classes - 1}."
    counted = labels if ignore is None else labels[labels != ignore]
    if (counted.min(), counted.max()) == (1, num_classes):
        message += " They seem to be counted from 1: subtract 1."
    raise UserError(message)


def label_weights(
    labels: Array,
    class_weights: Sequence[float] | Array | None = None,
    *,
    ignore: int | None = None,
) -> Array:
    """How much each example counts in a mean, by its label.

    ``metrics.mean(losses, label_weights(labels, w))`` is Σ w(y) loss / Σ w(y), exact
    over uneven batches, because both sums are merged. Weights that make the classes
    equal are those of scikit-learn's ``compute_class_weight("balanced", ...)``.

    Args:
      labels: Class indices, int [...]; or distributions, float [..., C], whose weight
        is the one to be expected, Σ_c q(c) w(c).
      class_weights: One of each class, float [C], not negative. Default: all one.
      ignore: A label that does not count.

    Returns:
      Weights, float32 [...]: zero where ignored, and one where a label is no class, so
      that its loss is seen.

    Raises:
      ValueError: ``ignore`` is given for distributions.

    Example:
      >>> label_weights(jnp.array([0, 1, -100]), (1.0, 3.0), ignore=-100)
      Array([1., 3., 0.], dtype=float32)
    """
    soft = jnp.issubdtype(labels.dtype, jnp.floating)
    if soft and ignore is not None:
        raise ValueError(f"ignore={ignore} needs class indices, not distributions.")
    if class_weights is None:
        weights = jnp.ones(labels.shape[:-1] if soft else labels.shape, jnp.float32)
    else:
        table = jnp.asarray(class_weights, jnp.float32)
        chex.assert_rank(table, 1)
        if soft:
            return jnp.sum(labels * jnp.broadcast_to(table, labels.shape), axis=-1)
        index, valid = known_labels(labels, len(table))
        weights = jnp.where(valid, table[index], 1)
    return (
        weights if ignore is None else jnp.where(is_label(labels, ignore), 0, weights)
    )


def known_labels(labels: Array, num_classes: int) -> tuple[Array, Array]:
    """The labels with 0 in place of those that are no class, and which are one.

    So that what is computed of a wrong label is finite, and so are its gradients,
    until it is replaced.
    """
    labels = _wide(labels)
    valid = (labels >= 0) & (labels < num_classes)
    return jnp.where(valid, labels, 0), valid


def is_label(labels: Array, label: int) -> Array:
    """Where labels are a certain one, bool [...], whatever their type.

    Example:
      >>> is_label(jnp.array([156, 255], jnp.uint8), -100)
      Array([False, False], dtype=bool)
    """
    return _wide(labels) == label


def _wide(labels):
    """Integers of at least 32 bits: a byte makes 156 of -100, and 232 of a thousand."""
    labels = jnp.asarray(labels)
    return labels.astype(jnp.result_type(labels.dtype, jnp.int32))
