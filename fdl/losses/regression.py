"""Losses for numbers."""

import math

import chex
import jax.numpy as jnp
import optax

from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def squared_error(predictions: Array, targets: Array) -> Array:
    """The squared difference of each pair, (ŷ − y)²; not half of it.

    Its mean is the mean squared error. Nielsen's quadratic cost is half of the sum
    over the outputs, and so is `optax.l2_loss`, without the sum.

    Args:
      predictions: Float [...].
      targets: Float [...].

    Returns:
      The loss of each number, float32 [...].

    Example:
      >>> squared_error(jnp.array([1.0, 4.0]), jnp.array([1.0, 2.0]))
      Array([0., 4.], dtype=float32)
    """
    return jnp.square(_difference(predictions, targets))


def absolute_error(predictions: Array, targets: Array) -> Array:
    """The absolute difference of each pair, |ŷ − y|; its gradient at zero is zero.

    Args:
      predictions: Float [...].
      targets: Float [...].

    Returns:
      The loss of each number, float32 [...].
    """
    error = _difference(predictions, targets)
    return error * jnp.sign(error)  # The gradient of jnp.abs at zero is one.


def huber(predictions: Array, targets: Array, *, delta: float = 1.0) -> Array:
    """Squared near zero, linear further out: ½ e² if |e| ≤ δ, else δ (|e| − ½ δ).

    Divided by δ it is PyTorch's ``smooth_l1_loss`` with β = δ.

    Args:
      predictions: Float [...].
      targets: Float [...].
      delta: δ, the error from which on it is linear.

    Returns:
      The loss of each number, float32 [...].

    Raises:
      ValueError: δ is not positive, or infinite.

    References:
      Huber, `Robust Estimation of a Location Parameter
      <https://doi.org/10.1214/aoms/1177703732>`_, 1964.
    """
    if not 0 < delta < math.inf:
        raise ValueError(f"delta is {delta}, but has to be positive and finite.")
    return optax.huber_loss(_difference(predictions, targets), delta=delta)


def log_cosh(predictions: Array, targets: Array) -> Array:
    """log cosh (ŷ − y): about ½ e² near zero, and |e| − log 2 further out.

    Args:
      predictions: Float [...].
      targets: Float [...].

    Returns:
      The loss of each number, float32 [...].

    Example:
      >>> log_cosh(jnp.array([0.0, 1e4]), jnp.zeros(2))
      Array([   0.   , 9999.307], dtype=float32)
    """
    return optax.log_cosh(_difference(predictions, targets))


def quantile(predictions: Array, targets: Array, *, level: float) -> Array:
    """The pinball loss, least where the prediction is a quantile of the targets.

    max(q (y − ŷ), (q − 1) (y − ŷ)): at q = 0.9, a prediction that is too low costs
    nine times as much as one that is too high. At q = ½ it is half the absolute error.

    Args:
      predictions: ŷ, float [...].
      targets: y, float [...].
      level: q, the share of the targets that shall lie below the prediction.

    Returns:
      The loss of each number, float32 [...].

    Raises:
      ValueError: The level is not between 0 and 1.

    Example:
      >>> quantile(jnp.array([1.0, 3.0]), jnp.full(2, 2.0), level=0.9)
      Array([0.9, 0.1], dtype=float32)

    References:
      Koenker and Bassett, `Regression Quantiles
      <https://doi.org/10.2307/1913643>`_, 1978.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, but has to lie between 0 and 1.")
    error = -_difference(predictions, targets)
    return jnp.maximum(level * error, (level - 1) * error)


def _difference(predictions, targets):
    chex.assert_equal_shape([predictions, targets])
    chex.assert_type([predictions, targets], float)
    return at_least_float32(predictions) - at_least_float32(targets)
