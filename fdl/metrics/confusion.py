"""Confusion matrix."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.metrics.class_averaging import check_average
from fdl.metrics.class_counts import needed
from fdl.metrics.decisions import decide, weights_of
from fdl.metrics.exact_counts import Counts, count, nan_if_invalid
from fdl.types import Array


class ConfusionMatrix(NamedTuple):
    """Confusion matrix.

    Attributes:
      counts: Counts of examples of class i for which class j was predicted, [C, C].
        With integral weights ``counts.whole`` holds them as integers, below 2³¹.
    """

    counts: Counts

    def matrix(self) -> Array:
        """Counts, float32 [C, C], with actual classes in rows."""
        return self.counts.value()

    def normalized(self, over: str = "actual") -> Array:
        """Normalised counts, float32 [C, C]; zero where the total is zero.

        Args:
          over: "actual": rows add up to one, and the diagonal holds the recalls;
            "predicted": columns add up to one, and the diagonal holds the precisions;
            "all": the whole matrix adds up to one.

        Raises:
          UserError: ``over`` is none of these.
        """
        check_average(over, ("actual", "all", "predicted"), name="over")
        matrix = self.matrix()
        axes = {"actual": (-1,), "predicted": (-2,), "all": (-1, -2)}
        total = matrix.sum(axis=axes[over], keepdims=True)
        return jnp.where(total == 0, 0, matrix / jnp.where(total == 0, 1, total))

    def compute(self) -> Array:
        """Accuracy, the share of the counts on the diagonal, float32 []."""
        matrix = self.matrix()
        correct = jnp.diagonal(matrix, axis1=-2, axis2=-1).sum(axis=-1)
        return correct / matrix.sum(axis=(-1, -2))


def confusion_matrix(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    num_classes: int | None = None,
) -> ConfusionMatrix:
    """Confusion matrix, Cᵢⱼ = Σ w [y = i] [ŷ = j].

    Args:
      logits: Logits of the classes, float [B, ..., C], the largest of which is the
        prediction. Or the logit of class 1 of two, float [B, ...], predicted if it is
        not negative; or predicted class indices, int [B, ...].
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      num_classes: Number of classes; required if `logits` are class indices.

    Raises:
      UserError: The shapes do not match, or the number of classes is not known.

    Example:
      >>> classes = jnp.array([0, 1, 1, 2])
      >>> table = confusion_matrix(classes, jnp.array([0, 1, 2, 2]), num_classes=3)
      >>> table.matrix()
      Array([[1., 0., 0.],
             [0., 1., 0.],
             [0., 1., 1.]], dtype=float32)
    """
    predicted, actual, valid, num_classes = decide(logits, labels, num_classes)
    size = needed(num_classes)
    weights = weights_of(mask, actual.shape)
    # Cells are numbered row by row; the number after the last is not counted.
    cells = jnp.where(valid, actual * size + predicted, size**2)
    counts = nan_if_invalid(count(cells, weights, size**2), valid, weights)
    return ConfusionMatrix(jax.tree.map(lambda x: x.reshape(size, size), counts))
