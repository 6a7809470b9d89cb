"""Losses for class labels."""

import chex
import jax.numpy as jnp
import optax

from fdl.types import Array


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Negative log-likelihood of each label, −log softmax(logits)[label].

    Args:
      logits: Unnormalised log-probabilities, float [..., C]; computed in float32.
      labels: Class indices, int [...].

    Returns:
      The loss of each example, float32 [...]; NaN where a label is no class, so that
      a wrong label is seen.

    Example:
      >>> cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3]))
      Array([1.3862944, 1.3862944], dtype=float32)

    References:
      Goodfellow, Bengio and Courville, `Deep Learning, section 6.2.2.3
      <https://www.deeplearningbook.org/contents/mlp.html>`_, 2016.
    """
    chex.assert_type([logits, labels], [float, int])
    chex.assert_rank(logits, labels.ndim + 1)
    chex.assert_equal_shape_prefix([logits, labels], labels.ndim)
    losses = optax.softmax_cross_entropy_with_integer_labels(
        logits.astype(jnp.float32), labels
    )
    valid = (labels >= 0) & (labels < logits.shape[-1])
    return jnp.where(valid, losses, jnp.nan)
