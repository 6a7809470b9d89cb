"""Coefficient of determination (R²) and explained variance."""

from typing import NamedTuple

import jax.numpy as jnp

from fdl.metrics.regression import by_output, differences
from fdl.types import Array

# Relative rounding error of sums of squares, eight units in the last place of float32.
# Smaller differences of such sums count as zero.
ROUNDING = 2.0**-20


class Moments(NamedTuple):
    """Sums over examples of shifted targets y − c and of errors e = ŷ − y.

    Attributes:
      examples: Number of examples with a weight, float32 [1].
      weight: Σ w, float32 [1].
      target: Σ w (y − c), float32 [D].
      target_square: Σ w (y − c)², float32 [D].
      error: Σ w e, float32 [D].
      error_square: Σ w e², float32 [D].
    """

    examples: Array
    weight: Array
    target: Array
    target_square: Array
    error: Array
    error_square: Array

    def variation(self) -> Array:
        """Σ w (y − ȳ)², float32 [D]; zero where it is within the rounding error.

        NaN where the squares of the targets are infinite or zero in float32, and the
        targets are not.
        """
        variation = _around_mean(self.target, self.target_square, self.weight)
        vanished = (self.target_square == 0) & (self.target != 0)
        lost = vanished | jnp.isinf(self.target_square)
        return jnp.where(lost, jnp.nan, variation)

    def error_variation(self) -> Array:
        """Σ w (e − ē)², float32 [D]; zero where it is within the rounding error."""
        return _around_mean(self.error, self.error_square, self.weight)


class R2(NamedTuple):
    """Coefficient of determination, from mergeable sums.

    Attributes:
      moments: Sums over the examples.
    """

    moments: Moments

    def per_output(self) -> Array:
        """Coefficient of each output, float32 [D]; NaN for fewer than two examples."""
        explained = _explained(self.moments.error_square, self.moments.variation())
        return jnp.where(self.moments.examples < 2, jnp.nan, explained)

    def compute(self) -> Array:
        """Mean over the outputs, float32 []."""
        return self.per_output().mean(axis=-1)


class ExplainedVariance(NamedTuple):
    """Explained variance, from mergeable sums.

    Attributes:
      moments: Sums over the examples.
    """

    moments: Moments

    def per_output(self) -> Array:
        """Explained variance of each output, float32 [D]; NaN without examples."""
        explained = _explained(self.moments.error_variation(), self.moments.variation())
        return jnp.where(self.moments.examples < 1, jnp.nan, explained)

    def compute(self) -> Array:
        """Mean over the outputs, float32 []."""
        return self.per_output().mean(axis=-1)


def r2(
    predictions: Array,
    targets: Array,
    mask: Array | None = None,
    *,
    shift: float = 0.0,
) -> R2:
    """Coefficient of determination, R² = 1 − Σ w (ŷ − y)² / Σ w (y − ȳ)².

    The mean ȳ of all targets is not known while batches are summed. So targets are
    shifted by a constant c, and Σ w (y − ȳ)² = Σ w (y − c)² − (Σ w (y − c))² / Σ w.
    In float32 the difference cancels if c is far from ȳ: 1 − R² has a relative error of
    about 5e-7 (1 + (ȳ − c)²/σ²), half a percent for targets a hundred standard
    deviations away; from a thousand on they count as constant. Set the shift to the
    mean of the training targets, or standardise targets and predictions, which leaves
    R² as it is. Targets have to be standardised if their squares leave the range of
    float32, with magnitudes above 10¹⁹ or below 10⁻¹⁹: R² is NaN or -∞ then.

    Args:
      predictions: Predictions ŷ, float [B, ...].
      targets: Targets y, float [B, ...].
      mask: Weights, [B].
      shift: Constant c near the mean of the targets.

    Returns:
      The metric. For constant targets it is 1 if all predictions are exact, else 0; for
      fewer than two examples NaN. With several outputs it is the mean over them, and
      ``per_output()`` returns each.

    Raises:
      UserError: The shapes do not match.

    Example:
      >>> targets, predictions = jnp.array([3, -0.5, 2, 7]), jnp.array([2.5, 0, 2, 8])
      >>> r2(predictions, targets).compute()
      Array(0.948608, dtype=float32)
    """
    return R2(_moments(predictions, targets, mask, shift))


def explained_variance(
    predictions: Array,
    targets: Array,
    mask: Array | None = None,
    *,
    shift: float = 0.0,
) -> ExplainedVariance:
    """Explained variance, 1 − Var(ŷ − y) / Var(y).

    Unlike R² it does not depend on a constant error of the predictions.

    Args:
      predictions: Predictions ŷ, float [B, ...].
      targets: Targets y, float [B, ...].
      mask: Weights, [B].
      shift: Constant near the mean of the targets; see `r2`.

    Returns:
      The metric. For constant targets it is 1 if all errors are equal, else 0. With
      several outputs it is the mean over them, and ``per_output()`` returns each.

    Raises:
      UserError: The shapes do not match.
    """
    return ExplainedVariance(_moments(predictions, targets, mask, shift))


def _moments(predictions, targets, mask, shift):
    errors, weights = by_output(differences(predictions, targets), mask)
    shifted = jnp.asarray(targets).astype(errors.dtype) - shift
    shifted, _ = by_output(shifted, mask)

    def total(values):
        return jnp.sum(weights * values, axis=0)

    return Moments(
        jnp.sum(weights > 0, axis=0, dtype=jnp.float32),
        total(jnp.ones_like(weights)),
        total(shifted),
        total(shifted**2),
        total(errors),
        total(errors**2),
    )


def _around_mean(total, squares, weight):
    """Sum of squares around the mean, from the sum and the sum of squares."""
    # A square of the total might be infinite, though this is at most the squares.
    variation = squares - total * (total / weight)
    # Constant values leave a small remainder, which is no variation to divide by.
    # So that NaN and infinity stay, they must not be less than the bound.
    return jnp.where(variation < ROUNDING * squares, 0, variation)


def _explained(unexplained, variation):
    """1 − a/b of an unexplained part a; if b is zero, 1 if a is zero too, else 0."""
    safe = jnp.where(variation == 0, 1, variation)
    # The product is zero, and NaN for NaN and infinity.
    otherwise = jnp.where(unexplained == 0, 1, 0 * unexplained)
    return jnp.where(variation == 0, otherwise, 1 - unexplained / safe)
