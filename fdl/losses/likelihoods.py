"""Negative log-likelihoods of Gaussian and Poisson targets, in nats.

Constant terms are included.
"""

import jax.numpy as jnp
from jax.scipy.special import gammaln

from fdl.losses.arguments import check_array, type_of
from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def gaussian_nll(outputs: Array, targets: Array) -> Array:
    """Gaussian negative log-likelihood, ½ (log σ² + (y − μ)² / σ² + log 2π).

    The network predicts the mean and the variance, its uncertainty about each target.
    PyTorch's ``gaussian_nll_loss(full=True)`` is the same loss, but takes σ² and clamps
    it to at least 10⁻⁶.

    Args:
      outputs: Means μ and log-variances log σ², float [..., 2].
      targets: Targets y, float [...].

    Returns:
      The loss of each target, float32 [...].

    Example:
      >>> gaussian_nll(jnp.zeros((1, 2)), jnp.array([0.0]))
      Array([0.9189385], dtype=float32)

    References:
      Nix and Weigend, `Estimating the Mean and Variance of the Target Probability
      Distribution <https://doi.org/10.1109/ICNN.1994.374138>`_, 1994.
    """
    check_array("targets", targets, "float", targets.shape)
    reason = f"mean and log-variance of targets of {type_of(targets)}"
    check_array("outputs", outputs, "float", (*targets.shape, 2), reason)
    outputs, targets = at_least_float32(outputs), at_least_float32(targets)
    mean, log_variance = outputs[..., 0], outputs[..., 1]
    # With an error of zero the squared term vanishes for any precision, but 1 / σ²
    # overflows for tiny variances, and 0 · ∞ is NaN. In float32, exp(80) is finite.
    overflows = (targets == mean) & (log_variance < -80)
    precision = jnp.exp(-jnp.where(overflows, 0, log_variance))
    squared = jnp.square(targets - mean) * precision
    return 0.5 * (log_variance + squared + jnp.log(2 * jnp.pi))


def poisson_nll(log_rates: Array, counts: Array) -> Array:
    """Poisson negative log-likelihood of counts, λ − y log λ + log y!.

    PyTorch's ``poisson_nll_loss`` omits the last term, which has no gradient.

    Args:
      log_rates: Logarithms of the rates, log λ, float [...]; from 89 on λ is infinite
        in float32.
      counts: Counts y, not negative, float or int [...].

    Returns:
      The loss of each count, float32 [...]; NaN where a count is negative.

    Example:
      >>> poisson_nll(jnp.array([0.0]), jnp.array([2]))
      Array([1.69315], dtype=float32)
    """
    check_array("log_rates", log_rates, "float", log_rates.shape)
    reason = f"as log_rates of {type_of(log_rates)}"
    check_array("counts", counts, "", log_rates.shape, reason)
    log_rates, counts = at_least_float32(log_rates), at_least_float32(counts)
    losses = jnp.exp(log_rates) - counts * log_rates
    return jnp.where(counts >= 0, losses + gammaln(counts + 1), jnp.nan)
