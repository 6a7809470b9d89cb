"""Which classes are taken for which."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.metrics.class_averaging import check_average
from fdl.metrics.class_counts import needed
from fdl.metrics.decisions import decide, weights_of
from fdl.metrics.exact_counts import Counts, count, spoil
from fdl.types import Array


class ConfusionMatrix(NamedTuple):
    """How often each class was taken for each.

    Attributes:
      counts: Of examples of class i for which class j was chosen, [C, C]. Where weights
        are whole, ``counts.whole`` has all of them as integers.
    """

    counts: Counts

    def matrix(self) -> Array:
        """The counts, float32 [C, C]: actual classes in rows."""
        return self.counts.value()

    def normalized(self, over: str = "actual") -> Array:
        """The counts as shares, float32 [C, C]; zero where there is nothing to share.

        Args:
          over: "actual": rows add up to one, the diagonal has the recalls;
            "predicted": columns do, it has the precisions; "all": everything does.
        """
        check_average(over, ("actual", "all", "predicted"))
        matrix = self.matrix()
        axes = {"actual": (-1,), "predicted": (-2,), "all": (-1, -2)}
        total = matrix.sum(axis=axes[over], keepdims=True)
        return jnp.where(total == 0, 0, matrix / jnp.where(total == 0, 1, total))

    def compute(self) -> Array:
        """The accuracy: the share of what lies on the diagonal, float32 []."""
        matrix = self.matrix()
        right = jnp.diagonal(matrix, axis1=-2, axis2=-1).sum(axis=-1)
        return right / matrix.sum(axis=(-1, -2))


def confusion_matrix(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    num_classes: int | None = None,
) -> ConfusionMatrix:
    """Counts how often class i is taken for class j, Cᵢⱼ = Σ w[y = i][ŷ = j].

    Args:
      logits: Float [B, ..., C]: the largest is chosen. Or float [B, ...], the logit of
        class 1 of two, chosen if it is not negative; or class indices, int [B, ...].
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      num_classes: Needed if `logits` are class indices.

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
    cells = jnp.where(valid, actual * size + predicted, size**2)
    counts = spoil(count(cells, weights, size**2), valid, weights)
    return ConfusionMatrix(jax.tree.map(lambda x: x.reshape(size, size), counts))
