"""How much of the variance of the targets is explained."""

from typing import NamedTuple

import jax.numpy as jnp

from fdl.metrics.regression import by_output, differences
from fdl.types import Array

# Differences of sums of squares that are less than this share of them are rounding.
ROUNDING = 2.0**-20


class Moments(NamedTuple):
    """Sums over examples, of targets y less a shift c and of errors e = ŷ − y.

    Attributes:
      examples: How many there are, int32 [1].
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
        """Σ w (y − ȳ)², float32 [D]; zero where that is not told from rounding."""
        return _around_mean(self.target, self.target_square, self.weight)

    def error_variation(self) -> Array:
        """Σ w (e − ē)², float32 [D]; zero where that is not told from rounding."""
        return _around_mean(self.error, self.error_square, self.weight)


class R2(NamedTuple):
    """The coefficient of determination.

    Attributes:
      moments: Sums over the examples.
    """

    moments: Moments

    def per_output(self) -> Array:
        """The coefficient of each output, float32 [D]."""
        explained = _explained(self.moments.error_square, self.moments.variation())
        return jnp.where(self.moments.examples < 2, jnp.nan, explained)

    def compute(self) -> Array:
        """The mean over the outputs, float32 []."""
        return self.per_output().mean(axis=-1)


class ExplainedVariance(NamedTuple):
    """The share of the variance that is explained.

    Attributes:
      moments: Sums over the examples.
    """

    moments: Moments

    def per_output(self) -> Array:
        """The share of each output, float32 [D]."""
        explained = _explained(self.moments.error_variation(), self.moments.variation())
        return jnp.where(self.moments.examples < 1, jnp.nan, explained)

    def compute(self) -> Array:
        """The mean over the outputs, float32 []."""
        return self.per_output().mean(axis=-1)


def r2(
    predictions: Array,
    targets: Array,
    mask: Array | None = None,
    *,
    shift: float = 0.0,
) -> R2:
    """The coefficient of determination, R² = 1 − Σ w (ŷ − y)² / Σ w (y − ȳ)².

    The mean ȳ is that of all examples, which no batch knows: sums are of y − c, and
    Σ w (y − ȳ)² = Σ w (y − c)² − (Σ w (y − c))² / Σ w. In float32 that loses digits
    where c is far from ȳ: 1 − R² has a relative error of about 5e-7 (1 + (ȳ − c)²/σ²),
    half a percent for targets a hundred standard deviations away, and from a thousand
    on they pass for constant. So give the mean of the training targets, or standardised
    targets and predictions: R² is the same.

    Args:
      predictions: Float [B, ...].
      targets: Float [B, ...].
      mask: Weights, [B].
      shift: c, about the mean of the targets.

    Returns:
      The metric. Of constant targets, 1 if all predictions are right, or else 0; NaN of
      fewer than two examples. Of several outputs, the mean of theirs; ``per_output()``
      has them.

    Raises:
      UserError: The shapes do not fit.

    Example:
      >>> y, predicted = jnp.array([3, -0.5, 2, 7]), jnp.array([2.5, 0, 2, 8])
      >>> r2(predicted, y).compute()
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
    """The share of the variance that is explained, 1 − Var(ŷ − y) / Var(y).

    It is R², but forgives a constant error.

    Args:
      predictions: Float [B, ...].
      targets: Float [B, ...].
      mask: Weights, [B].
      shift: About the mean of the targets; `r2` says what for.

    Returns:
      The metric. Of constant targets, 1 if all errors are the same, or else 0. Of
      several outputs, the mean of theirs; ``per_output()`` has them.

    Raises:
      UserError: The shapes do not fit.
    """
    return ExplainedVariance(_moments(predictions, targets, mask, shift))


def _moments(predictions, targets, mask, shift):
    errors, weights = by_output(differences(predictions, targets), mask)
    shifted = jnp.asarray(targets).astype(errors.dtype) - shift
    shifted, _ = by_output(shifted, mask)

    def total(values):
        return jnp.sum(weights * values, axis=0)

    return Moments(
        (weights > 0).astype(jnp.int32).sum(axis=0),
        total(jnp.ones_like(weights)),
        total(shifted),
        total(shifted**2),
        total(errors),
        total(errors**2),
    )


def _around_mean(total, squares, weight):
    variation = squares - total**2 / weight
    return jnp.where(variation > ROUNDING * squares, variation, 0)


def _explained(unexplained, variation):
    """1 − a/b; where the variation b is zero, 1 if a is, or else 0."""
    safe = jnp.where(variation == 0, 1, variation)
    otherwise = (unexplained == 0).astype(safe.dtype)
    return jnp.where(variation == 0, otherwise, 1 - unexplained / safe)
