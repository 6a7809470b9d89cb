"""Negative log-likelihoods of numbers and counts, in nats, constants included."""

import chex
import jax.numpy as jnp
from jax.scipy.special import gammaln

from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def gaussian_nll(outputs: Array, targets: Array) -> Array:
    """−log N(y; μ, σ²) = ½ (log σ² + (y − μ)² / σ² + log 2π).

    A network that says both learns how sure it is of each prediction. It is PyTorch's
    ``gaussian_nll_loss(full=True)``, which takes σ² and holds it above 10⁻⁶.

    Args:
      outputs: Means μ and logarithms of variances, log σ², float [..., 2].
      targets: y, float [...].

    Returns:
      The loss of each number, float32 [...].

    Example:
      >>> gaussian_nll(jnp.zeros((1, 2)), jnp.array([0.0]))
      Array([0.9189385], dtype=float32)

    References:
      Nix and Weigend, `Estimating the Mean and Variance of the Target Probability
      Distribution <https://doi.org/10.1109/ICNN.1994.374138>`_, 1994.
    """
    chex.assert_type([outputs, targets], float)
    chex.assert_shape(outputs, (*targets.shape, 2))
    outputs, targets = at_least_float32(outputs), at_least_float32(targets)
    mean, log_variance = outputs[..., 0], outputs[..., 1]
    # Where the mean is right, any precision is: zero times infinity is not a number.
    sure = (targets == mean) & (log_variance < -80)
    precision = jnp.exp(-jnp.where(sure, 0, log_variance))
    squared = jnp.square(targets - mean) * precision
    return 0.5 * (log_variance + squared + jnp.log(2 * jnp.pi))


def poisson_nll(log_rates: Array, counts: Array) -> Array:
    """−log P(y; λ) = λ − y log λ + log y!, of counts.

    PyTorch's ``poisson_nll_loss`` leaves out the last term, which has no gradient.

    Args:
      log_rates: log λ, float [...]; from 89 on λ is infinite in float32.
      counts: y, not negative, float or int [...].

    Returns:
      The loss of each count, float32 [...]; NaN where a count is negative.

    Example:
      >>> poisson_nll(jnp.array([0.0]), jnp.array([2]))
      Array([1.69315], dtype=float32)
    """
    chex.assert_type(log_rates, float)
    chex.assert_equal_shape([log_rates, counts])
    log_rates, counts = at_least_float32(log_rates), at_least_float32(counts)
    losses = jnp.exp(log_rates) - counts * log_rates
    return jnp.where(counts >= 0, losses + gammaln(counts + 1), jnp.nan)
