"""Agreement beyond chance."""

import dataclasses

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.confusion import ConfusionMatrix, confusion_matrix
from fdl.types import Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class CohenKappa:
    """Agreement beyond chance.

    Attributes:
      confusion: Which classes are taken for which.
      weights: How bad that is: "none", "linear" or "quadratic".
    """

    confusion: ConfusionMatrix
    weights: str = dataclasses.field(metadata={"static": True})

    def compute(self) -> Array:
        """κ, float32 []; NaN if there is no disagreement to expect."""
        matrix = self.confusion.matrix()
        share = matrix / matrix.sum(axis=(-1, -2), keepdims=True)
        expected = share.sum(axis=-1, keepdims=True) * share.sum(axis=-2, keepdims=True)
        classes = jnp.arange(matrix.shape[-1])
        apart = jnp.abs(classes[:, None] - classes[None, :])
        cost = {"none": apart > 0, "linear": apart, "quadratic": apart**2}[self.weights]
        cost = jnp.broadcast_to(cost, matrix.shape)
        seen, by_chance = ((cost * x).sum(axis=(-1, -2)) for x in (share, expected))
        return 1 - seen / by_chance


def cohen_kappa(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    weights: str = "none",
    num_classes: int | None = None,
) -> CohenKappa:
    """How far choices and labels agree beyond chance.

    κ = 1 − Σᵢⱼ dᵢⱼ Cᵢⱼ / Σᵢⱼ dᵢⱼ Eᵢⱼ with the confusion matrix C, what chance would
    make of it, E = (row sums) (column sums)ᵀ / Σ C, and how bad each mistake is, dᵢⱼ.

    Args:
      logits: What was chosen, in one of the forms that `confusion_matrix` takes.
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      weights: "none": d = [i ≠ j]; of classes in order, "linear": |i − j|;
        "quadratic": (i − j)².
      num_classes: Needed if `logits` are class indices.

    References:
      Cohen, `A Coefficient of Agreement for Nominal Scales
      <https://doi.org/10.1177/001316446002000104>`_, 1960.
    """
    if weights not in ("none", "linear", "quadratic"):
        raise UserError(
            f"weights is {weights!r}: expected 'none', 'linear' or 'quadratic'"
        )
    confusion = confusion_matrix(logits, labels, mask, num_classes=num_classes)
    return CohenKappa(confusion, weights)
