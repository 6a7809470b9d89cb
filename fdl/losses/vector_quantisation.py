"""Losses of vector quantisation."""

import jax
import jax.numpy as jnp

from fdl.losses.arguments import check_array, check_pair
from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def commitment(vectors: Array, targets: Array) -> Array:
    """Commitment loss, ‖z − sg[e]‖² / D, whose gradient moves z alone.

    Of outputs z of an encoder and their codes e it keeps an encoder near the codebook;
    with the two exchanged it is the loss that learns a codebook. ``sg`` stops the
    gradient. The mean over the dimensions is that of the authors' code; the sum of the
    paper is D times as much.

    Args:
      vectors: Vectors z that are moved, float [..., D].
      targets: Vectors e that stay where they are, float [..., D].

    Returns:
      The loss of each vector, float32 [...].

    Raises:
      UserError: The arrays are no floats, or of different shapes.

    Example:
      >>> commitment(jnp.array([[1.0, 3.0]]), jnp.array([[1.0, 1.0]]))
      Array([2.], dtype=float32)

    References:
      van den Oord, Vinyals and Kavukcuoglu, `Neural Discrete Representation Learning
      <https://arxiv.org/abs/1711.00937>`_, 2017, equation 3.
    """
    check_array("vectors", vectors, "float", vectors.shape)
    check_pair("targets", targets, "vectors", vectors)
    targets = jax.lax.stop_gradient(at_least_float32(targets))
    return jnp.square(at_least_float32(vectors) - targets).mean(axis=-1)
