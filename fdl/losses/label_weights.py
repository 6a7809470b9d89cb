"""Class labels: validation, and class weights."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.losses.arguments import check_array
from fdl.types import Array


def check_labels(
    labels: np.ndarray | Array, num_classes: int, *, ignore: int | None = None
) -> None:
    """Checks on the host, before training, that all labels are class indices.

    Inside a compiled step an invalid label makes the loss NaN; here it is an error.

    Args:
      labels: Class indices, int [...].
      num_classes: Number of classes, whose indices are 0 to ``num_classes - 1``.
      ignore: A further label that is allowed. Default: none.

    Raises:
      UserError: Labels are not integers, or one of them is no class index.

    Example:
      >>> check_labels(np.array([0, 1, 2]), 2)
      Traceback (most recent call last):
      fdl.errors.UserError: labels[2]=2: expected a class index from 0 to 1
    """
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer):
        raise UserError(f"labels.dtype={labels.dtype}: expected integers")
    invalid = (labels < 0) | (labels >= num_classes)
    if ignore is not None:
        invalid &= labels != ignore
    if not invalid.any():
        return
    first = tuple(int(i) for i in np.argwhere(invalid)[0])
    # A scalar has no index to be shown.
    subscript = str([*first]) if first else ""
    message = (
        f"labels{subscript}={labels[first]}: "
        f"expected a class index from 0 to {num_classes - 1}"
    )
    class_labels = labels if ignore is None else labels[labels != ignore]
    if (class_labels.min(), class_labels.max()) == (1, num_classes):
        message += "; labels seem to be counted from 1: subtract 1"
    raise UserError(message)


def label_weights(
    labels: Array,
    class_weights: Sequence[float] | Array | None = None,
    *,
    ignore: int | None = None,
) -> Array:
    """Weights of examples in a mean, from class weights and an ignored label.

    ``metrics.mean(losses, label_weights(labels, w))`` is Σ w(y) loss / Σ w(y), exact
    over uneven batches, because both sums are merged. Balanced class weights are
    returned by scikit-learn's ``compute_class_weight("balanced", ...)``.

    Args:
      labels: Class indices, int [...]; or distributions q, float [..., C], which have
        the expected weight, Σ_c q(c) w(c).
      class_weights: Weights w of the classes, not negative, float [C]. Default: ones.
      ignore: Class index of weight zero. Default: none.

    Returns:
      Weights, float32 [...]: zero for ignored labels, and one for invalid ones, whose
      loss of NaN then shows in the mean.

    Raises:
      UserError: ``ignore`` is set, but labels are distributions.

    Example:
      >>> label_weights(jnp.array([0, 1, -100]), (1.0, 3.0), ignore=-100)
      Array([1., 3., 0.], dtype=float32)
    """
    soft = jnp.issubdtype(labels.dtype, jnp.floating)
    if soft and ignore is not None:
        raise UserError(f"ignore={ignore}: expected None for labels as distributions")
    if class_weights is None:
        weights = jnp.ones(labels.shape[:-1] if soft else labels.shape, jnp.float32)
    else:
        table = jnp.asarray(class_weights, jnp.float32)
        check_array("class_weights", table, "float", (table.size,))
        if soft:
            # An error where labels [..., 1] would be broadcast to the shape of weights.
            return jnp.sum(labels * jnp.broadcast_to(table, labels.shape), axis=-1)
        index, valid = known_labels(labels, len(table))
        # Not zero for invalid labels: `metrics.mean` drops values of weight zero, and
        # with them the NaN.
        weights = jnp.where(valid, table[index], 1)
    return (
        weights if ignore is None else jnp.where(is_label(labels, ignore), 0, weights)
    )


def known_labels(labels: Array, num_classes: int) -> tuple[Array, Array]:
    """Labels with invalid ones replaced by class 0, and a mask of the valid ones.

    Losses of the replaced labels, and their gradients, are finite until the caller
    masks them.

    Args:
      labels: Class indices, int [...].
      num_classes: Number of classes.

    Returns:
      Class indices, at least int32 [...], and bool [...].
    """
    labels = _at_least_int32(labels)
    valid = (labels >= 0) & (labels < num_classes)
    return jnp.where(valid, labels, 0), valid


def is_label(labels: Array, label: int) -> Array:
    """True for labels equal to one that their type may not hold, bool [...].

    Example:
      >>> is_label(jnp.array([156, 255], jnp.uint8), -100)
      Array([False, False], dtype=bool)
    """
    return _at_least_int32(labels) == label


def _at_least_int32(labels):
    """Labels as integers of at least 32 bits."""
    labels = jnp.asarray(labels)
    # A comparison takes place in the type of the array: uint8 turns −100 into 156 and
    # a number of classes of 1000 into 232.
    dtype = jnp.result_type(labels.dtype, jnp.int32)
    if jnp.issubdtype(labels.dtype, jnp.unsignedinteger) and labels.dtype.itemsize >= 4:
        # Of 32 bits, 2³² − 100 would wrap to −100, a usual label to ignore.
        labels = jnp.minimum(labels, jnp.iinfo(dtype).max)
    return labels.astype(dtype)
