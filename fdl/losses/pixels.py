"""Negative log-likelihood of discrete images, in nats."""

from fdl.losses.classification import cross_entropy
from fdl.types import Array


def pixel_nll(logits: Array, values: Array) -> Array:
    """Negative log-likelihood of discrete images, −Σᵢ log p(xᵢ | x₁, ..., xᵢ₋₁).

    Of an autoregressive model, by the chain rule of probability, it is exact. A sum
    over N pixels, it is N log 2 times the bits per dimension.

    Args:
      logits: Logits of the V values of each pixel, float [B, ..., V].
      values: Values 0 to V − 1, int [B, ...].

    Returns:
      The loss of each image in nats, float32 [B]; NaN where a value is none.

    Raises:
      UserError: Logits or values have another dtype or shape.

    Example:
      Of a uniform model, a pixel of four values costs log 4:

      >>> import jax.numpy as jnp
      >>> pixel_nll(jnp.zeros((1, 2, 4)), jnp.array([[0, 3]]))
      Array([2.7725887], dtype=float32)
    """
    losses = cross_entropy(logits, values)
    return losses.reshape(len(losses), -1).sum(axis=1)
