"""How far predicted numbers are from the true ones."""

import math
from typing import NamedTuple

import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.accuracy import mean
from fdl.metrics.decisions import weights_of
from fdl.types import Array, Mean


def mean_absolute_error(
    predictions: Array, targets: Array, mask: Array | None = None
) -> Mean:
    """The mean absolute difference, Σ wᵢ |ŷᵢ − yᵢ| / Σ wᵢ, in units of the targets.

    Args:
      predictions: Float [B, ...].
      targets: Float [B, ...].
      mask: Weights, [B].

    Raises:
      UserError: The shapes do not fit.
    """
    return mean(jnp.abs(differences(predictions, targets)), mask)


def mean_squared_error(
    predictions: Array, targets: Array, mask: Array | None = None
) -> Mean:
    """The mean squared difference, Σ wᵢ (ŷᵢ − yᵢ)² / Σ wᵢ; not half of it.

    Args:
      predictions: Float [B, ...].
      targets: Float [B, ...].
      mask: Weights, [B].

    Raises:
      UserError: The shapes do not fit.
    """
    return mean(jnp.square(differences(predictions, targets)), mask)


def mean_absolute_percentage_error(
    predictions: Array, targets: Array, mask: Array | None = None
) -> Mean:
    """The mean difference as a share of the target, Σ wᵢ |ŷᵢ − yᵢ| / |yᵢ| / Σ wᵢ.

    A share of one, no percentage, as scikit-learn has it. Targets closer to zero than
    2.2e-16 count as 2.2e-16: then the mean is huge, and says little.

    Args:
      predictions: Float [B, ...].
      targets: Float [B, ...].
      mask: Weights, [B].

    Raises:
      UserError: The shapes do not fit.
    """
    errors = jnp.abs(differences(predictions, targets))
    smallest = float(jnp.finfo("float64").eps)
    return mean(errors / jnp.maximum(jnp.abs(jnp.asarray(targets)), smallest), mask)


class RootMeanSquare(NamedTuple):
    """The root of a mean, of each of D outputs.

    Attributes:
      total: Sum of the weighted squares, float32 [D].
      weight: Sum of the weights, float32 [1].
    """

    total: Array
    weight: Array

    def per_output(self) -> Array:
        """The root of each output, float32 [D]."""
        return jnp.sqrt(self.total / self.weight)

    def compute(self) -> Array:
        """The mean of the roots, float32 []; NaN where nothing was counted."""
        return self.per_output().mean(axis=-1)


def root_mean_squared_error(
    predictions: Array, targets: Array, mask: Array | None = None
) -> RootMeanSquare:
    """The root of the mean squared difference, √(Σ wᵢ (ŷᵢ − yᵢ)² / Σ wᵢ).

    It is not the mean of the roots of batches. Of several outputs, the mean of theirs.

    Args:
      predictions: Float [B, ...].
      targets: Float [B, ...].
      mask: Weights, [B].

    Raises:
      UserError: The shapes do not fit.

    Example:
      >>> y, predicted = jnp.array([3, -0.5, 2, 7]), jnp.array([2.5, 0, 2, 8])
      >>> root_mean_squared_error(predicted, y).compute()
      Array(0.612372, dtype=float32)
    """
    errors, weights = by_output(differences(predictions, targets), mask)
    return RootMeanSquare((weights * errors**2).sum(axis=0), weights.sum(axis=0))


def differences(predictions: Array, targets: Array) -> Array:
    """Predictions less targets, at least float32 [B, ...].

    Raises:
      UserError: They are not of the same shape.
    """
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    if predictions.shape != targets.shape or not predictions.ndim:
        raise UserError(
            f"predictions are {list(predictions.shape)}, but targets are "
            f"{list(targets.shape)}: expected one for each target"
        )
    dtype = jnp.promote_types(jnp.result_type(predictions, targets), jnp.float32)
    return predictions.astype(dtype) - targets.astype(dtype)


def by_output(values: Array, mask: Array | None) -> tuple[Array, Array]:
    """Numbers and weights of the outputs of examples.

    Args:
      values: Float [B, ...].
      mask: Weights, [B].

    Returns:
      Float [B, D], zero where the weight is, and float32 [B, 1].
    """
    weights = weights_of(mask, values.shape[:1])[:, None]
    values = values.reshape(values.shape[0], math.prod(values.shape[1:]))
    return jnp.where(weights > 0, values, 0), weights
