"""Cohen's kappa."""

import dataclasses

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.confusion import ConfusionMatrix, confusion_matrix
from fdl.types import Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CohenKappa:
    """Cohen's kappa, from a mergeable confusion matrix.

    Attributes:
      confusion: Confusion matrix.
      weights: Cost of mistakes: "none", "linear" or "quadratic".
    """

    confusion: ConfusionMatrix
    weights: str = dataclasses.field(metadata={"static": True})

    def compute(self) -> Array:
        """Cohen's kappa, float32 []; NaN if the expected disagreement is zero."""
        matrix = self.confusion.matrix()
        share = matrix / matrix.sum(axis=(-1, -2), keepdims=True)
        expected = share.sum(axis=-1, keepdims=True) * share.sum(axis=-2, keepdims=True)
        classes = jnp.arange(matrix.shape[-1])
        distance = jnp.abs(classes[:, None] - classes[None, :])
        costs = {"none": distance > 0, "linear": distance, "quadratic": distance**2}
        cost = jnp.broadcast_to(costs[self.weights], matrix.shape)
        observed, by_chance = ((cost * x).sum(axis=(-1, -2)) for x in (share, expected))
        return 1 - observed / by_chance


def cohen_kappa(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    weights: str = "none",
    num_classes: int | None = None,
) -> CohenKappa:
    """Cohen's kappa, the agreement of predictions and labels beyond chance.

    κ = 1 − Σᵢⱼ dᵢⱼ Cᵢⱼ / Σᵢⱼ dᵢⱼ Eᵢⱼ with the confusion matrix C, the matrix expected
    by chance, E = (row sums) (column sums)ᵀ / Σ C, and the costs dᵢⱼ of mistakes.

    Args:
      logits: Logits or predictions, in one of the forms that `confusion_matrix` takes.
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      weights: Cost of mistakes. "none": [i ≠ j]; for ordinal classes, "linear":
        |i − j|; "quadratic": (i − j)².
      num_classes: Number of classes; required if `logits` are class indices.

    Raises:
      UserError: The weights are none of these, or the number of classes is not known.

    References:
      Cohen, `A Coefficient of Agreement for Nominal Scales
      <https://doi.org/10.1177/001316446002000104>`_, 1960.
    """
    if weights not in ("none", "linear", "quadratic"):
        raise UserError(
            f"weights={weights!r}: expected 'none', 'linear' or 'quadratic'"
        )
    confusion = confusion_matrix(logits, labels, mask, num_classes=num_classes)
    return CohenKappa(confusion, weights)
