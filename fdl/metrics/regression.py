"""Regression errors: mean absolute, squared and percentage error."""

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
    """Mean absolute error, Σ wᵢ |ŷᵢ − yᵢ| / Σ wᵢ, in units of the targets.

    Args:
      predictions: Predictions ŷ, float [B, ...].
      targets: Targets y, float [B, ...].
      mask: Weights, [B].

    Raises:
      UserError: The shapes do not match.
    """
    return mean(jnp.abs(differences(predictions, targets)), mask)


def mean_squared_error(
    predictions: Array, targets: Array, mask: Array | None = None
) -> Mean:
    """Mean squared error, Σ wᵢ (ŷᵢ − yᵢ)² / Σ wᵢ, without a factor of ½.

    Args:
      predictions: Predictions ŷ, float [B, ...].
      targets: Targets y, float [B, ...].
      mask: Weights, [B].

    Raises:
      UserError: The shapes do not match.
    """
    return mean(jnp.square(differences(predictions, targets)), mask)


def mean_absolute_percentage_error(
    predictions: Array, targets: Array, mask: Array | None = None
) -> Mean:
    """Mean absolute percentage error, Σ wᵢ |ŷᵢ − yᵢ| / |yᵢ| / Σ wᵢ.

    As in scikit-learn it is a fraction, not multiplied by 100, and magnitudes of
    targets are at least 2.2e-16: targets of zero give a huge, meaningless value.

    Args:
      predictions: Predictions ŷ, float [B, ...].
      targets: Targets y, float [B, ...].
      mask: Weights, [B].

    Raises:
      UserError: The shapes do not match.
    """
    errors = jnp.abs(differences(predictions, targets))
    # The constant of scikit-learn, in float32 as well, so that values are the same.
    epsilon = float(jnp.finfo("float64").eps)
    # In the dtype of the errors, as int8 has no 128 and float16 no epsilon.
    sizes = jnp.abs(jnp.asarray(targets).astype(errors.dtype))
    return mean(errors / jnp.maximum(sizes, epsilon), mask)


class RootMeanSquare(NamedTuple):
    """Root mean square of each of D outputs, from mergeable sums.

    Attributes:
      total: Sums of the weighted squares, float32 [D].
      weight: Sum of the weights, float32 [1].
    """

    total: Array
    weight: Array

    def per_output(self) -> Array:
        """Root mean square of each output, float32 [D]."""
        return jnp.sqrt(self.total / self.weight)

    def compute(self) -> Array:
        """Mean over the outputs, float32 []; NaN if all weights are zero."""
        return self.per_output().mean(axis=-1)


def root_mean_squared_error(
    predictions: Array, targets: Array, mask: Array | None = None
) -> RootMeanSquare:
    """Root mean squared error, √(Σ wᵢ (ŷᵢ − yᵢ)² / Σ wᵢ).

    The root is that of the mean over all batches. With several outputs it is the mean
    of their roots. Squares have the range of float32: errors below 10⁻¹⁹ count as zero,
    and those above 10¹⁹ as infinite.

    Args:
      predictions: Predictions ŷ, float [B, ...].
      targets: Targets y, float [B, ...].
      mask: Weights, [B].

    Raises:
      UserError: The shapes do not match.

    Example:
      >>> targets, predictions = jnp.array([3, -0.5, 2, 7]), jnp.array([2.5, 0, 2, 8])
      >>> root_mean_squared_error(predictions, targets).compute()
      Array(0.612372, dtype=float32)
    """
    errors, weights = by_output(differences(predictions, targets), mask)
    return RootMeanSquare((weights * errors**2).sum(axis=0), weights.sum(axis=0))


def differences(predictions: Array, targets: Array) -> Array:
    """Differences of predictions and targets, ŷ − y, at least float32 [B, ...].

    Raises:
      UserError: The shapes differ.
    """
    predictions, targets = jnp.asarray(predictions), jnp.asarray(targets)
    if predictions.shape != targets.shape or not predictions.ndim:
        raise UserError(
            f"predictions.shape={list(predictions.shape)}, "
            f"targets.shape={list(targets.shape)}: expected the same shape"
        )
    # Operands are promoted before the subtraction, as integers would overflow and half
    # precision would cancel.
    dtype = jnp.promote_types(jnp.result_type(predictions, targets), jnp.float32)
    return predictions.astype(dtype) - targets.astype(dtype)


def by_output(values: Array, mask: Array | None) -> tuple[Array, Array]:
    """Values flattened to one axis of outputs, and weights of the examples.

    Args:
      values: Values, float [B, ...].
      mask: Weights, [B]. Default: ones.

    Returns:
      Values, float [B, D], zero where the weight is zero, and weights, float32 [B, 1].
    """
    weights = weights_of(mask, values.shape[:1])[:, None]
    values = values.reshape(values.shape[0], math.prod(values.shape[1:]))
    # Masked values may be NaN, and a product with zero would be NaN as well.
    return jnp.where(weights > 0, values, 0), weights
