"""Regression losses."""

import math

import jax.numpy as jnp
import optax

from fdl.errors import UserError
from fdl.losses.arguments import check_pair
from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def squared_error(predictions: Array, targets: Array) -> Array:
    """Squared error, (ŷ − y)², without a factor of ½.

    Its mean is the mean squared error. `optax.l2_loss` is half of it, and Nielsen's
    quadratic cost is half of its sum over the outputs.

    Args:
      predictions: Predictions ŷ, float [...].
      targets: Targets y, float [...].

    Returns:
      The loss of each target, float32 [...].

    Example:
      >>> squared_error(jnp.array([1.0, 4.0]), jnp.array([1.0, 2.0]))
      Array([0., 4.], dtype=float32)
    """
    return jnp.square(_difference(predictions, targets))


def absolute_error(predictions: Array, targets: Array) -> Array:
    """Absolute error, |ŷ − y|, with a gradient of zero at zero.

    Args:
      predictions: Predictions ŷ, float [...].
      targets: Targets y, float [...].

    Returns:
      The loss of each target, float32 [...].
    """
    error = _difference(predictions, targets)
    # e · sign(e) and not |e|: the gradient of jnp.abs at zero is one.
    return error * jnp.sign(error)


def huber(predictions: Array, targets: Array, *, delta: float = 1.0) -> Array:
    """Huber loss of e = ŷ − y: ½ e² if |e| ≤ δ, else δ (|e| − ½ δ).

    It is quadratic for small errors and linear for large ones. Divided by δ it is
    PyTorch's ``smooth_l1_loss`` with β = δ.

    Args:
      predictions: Predictions ŷ, float [...].
      targets: Targets y, float [...].
      delta: Threshold δ between the quadratic and the linear part.

    Returns:
      The loss of each target, float32 [...].

    Raises:
      UserError: δ is not positive, or infinite.

    References:
      Huber, `Robust Estimation of a Location Parameter
      <https://doi.org/10.1214/aoms/1177703732>`_, 1964.
    """
    if not 0 < delta < math.inf:
        raise UserError(f"delta={delta}: expected a positive, finite number")
    error = _difference(predictions, targets)
    # As one product: in a sum of a quadratic and a linear part, as of optax, the
    # gradient e is what is left of e + δ − δ, which is zero for small errors.
    within = jnp.where(jnp.abs(error) < delta, error, delta * jnp.sign(error))
    return within * (error - within / 2)


def log_cosh(predictions: Array, targets: Array) -> Array:
    """Log-cosh loss, log cosh e of e = ŷ − y: ½ e² near zero, |e| − log 2 far from it.

    Args:
      predictions: Predictions ŷ, float [...].
      targets: Targets y, float [...].

    Returns:
      The loss of each target, float32 [...].

    Example:
      >>> log_cosh(jnp.array([0.0, 1e4]), jnp.zeros(2))
      Array([   0.   , 9999.307], dtype=float32)
    """
    error = _difference(predictions, targets)
    small = jnp.abs(error) < 1
    # log cosh e = log(1 + 2 sinh² ½e). Near zero, where it is ½ e², nothing is left of
    # the difference of log(exp e + exp −e) and log 2.
    near = jnp.log1p(2 * jnp.square(jnp.sinh(jnp.where(small, error, 0) / 2)))
    return jnp.where(small, near, optax.log_cosh(error))


def quantile(predictions: Array, targets: Array, *, level: float) -> Array:
    """Quantile loss (pinball loss), max(q (y − ŷ), (q − 1) (y − ŷ)).

    Its expectation is minimal where ŷ is the q-quantile of the targets. At q = 0.9, a
    prediction that is too low costs nine times as much as one that is too high. At
    q = ½ it is half the absolute error.

    Args:
      predictions: Predictions ŷ, float [...].
      targets: Targets y, float [...].
      level: Quantile level q, between 0 and 1.

    Returns:
      The loss of each target, float32 [...].

    Raises:
      UserError: The level is not between 0 and 1.

    Example:
      >>> quantile(jnp.array([1.0, 3.0]), jnp.full(2, 2.0), level=0.9)
      Array([0.9, 0.1], dtype=float32)

    References:
      Koenker and Bassett, `Regression Quantiles
      <https://doi.org/10.2307/1913643>`_, 1978.
    """
    if not 0 < level < 1:
        raise UserError(f"level={level}: expected a number between 0 and 1")
    # The loss is defined for y − ŷ, the negative of the difference.
    error = -_difference(predictions, targets)
    return jnp.maximum(level * error, (level - 1) * error)


def quantile_huber(predictions: Array, targets: Array, *, delta: float = 1.0) -> Array:
    """Quantile Huber loss of Q predicted quantiles of a distribution, by its samples.

    The Huber loss of each target relative to each prediction, divided by δ, with the
    weight q where the prediction is too low and 1 - q where it is too high: smooth
    quantile regression. The i-th of Q predictions is of the level q = (i + ½) / Q. It
    is summed over the predictions, and averaged over the targets.

    Args:
      predictions: Predictions of all quantiles, float [..., Q].
      targets: Samples of the distribution, or its quantiles, float [..., T].
      delta: Threshold δ between the quadratic and the linear part.

    Returns:
      The loss of each distribution, float32 [...].

    Raises:
      UserError: δ is not positive, or infinite; or predictions or targets are of
        another shape.

    Example:
      >>> quantile_huber(jnp.array([0.0, 0.0]), jnp.array([2.0]))  # ¼ and ¾ of 1.5.
      Array(1.5, dtype=float32)

    References:
      Dabney et al., `Distributional Reinforcement Learning with Quantile Regression
      <https://arxiv.org/abs/1710.10044>`_, 2017, section 4.2.
    """
    shapes = [*predictions.shape], [*targets.shape]
    if not predictions.ndim or shapes[0][:-1] != shapes[1][:-1]:
        raise UserError(
            f"predictions {shapes[0]} and targets {shapes[1]}: expected [..., Q] "
            "quantiles and [..., T] samples"
        )
    num_quantiles = predictions.shape[-1]
    pairs = jnp.broadcast_arrays(predictions[..., None], targets[..., None, :])
    levels = (jnp.arange(num_quantiles) + 0.5) / num_quantiles
    levels = jnp.broadcast_to(levels[:, None], pairs[0].shape)
    weight = jnp.where(pairs[0] < pairs[1], levels, 1 - levels)
    loss = weight * huber(*pairs, delta=delta) / delta
    return loss.mean(axis=-1).sum(axis=-1)


def _difference(predictions, targets):
    check_pair("targets", targets, "predictions", predictions)
    return at_least_float32(predictions) - at_least_float32(targets)
