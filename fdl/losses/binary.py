"""Losses for answers of yes or no: one per example, or several (multi-label)."""

from collections.abc import Sequence

import chex
import jax
import jax.numpy as jnp
import optax

from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def binary_cross_entropy(
    logits: Array,
    labels: Array,
    *,
    positive_weight: float | Sequence[float] | Array = 1.0,
) -> Array:
    """Cross-entropy of a sigmoid, −w y log σ(z) − (1 − y) log σ(−z).

    Of several labels per example, [B, L], each is a question of its own, and
    `metrics.mean` averages over them: the multi-label loss.

    Args:
      logits: z, log-odds of yes, float [...].
      labels: y in [0, 1], of the same shape; 0 and 1, or the probability of yes.
      positive_weight: w; of several labels, [..., L], a number for each, [L]. A
        number above one makes up for rare positives.

    Returns:
      The loss of each answer, float32 [...]. It is NaN, with a gradient of zero,
      where a label is not in [0, 1], so that a wrong label is seen.

    Example:
      >>> binary_cross_entropy(jnp.array([0.0, -1e4]), jnp.array([1, 0]))
      Array([0.6931472, 0.       ], dtype=float32)

    References:
      Goodfellow, Bengio and Courville, `Deep Learning, section 6.2.2.2
      <https://www.deeplearningbook.org/contents/mlp.html>`_, 2016.
    """
    logits, labels, valid = _given(logits, labels)
    weight = jnp.asarray(positive_weight, logits.dtype)
    weight = jnp.broadcast_to(weight, logits.shape)
    yes, no = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    return jnp.where(valid, -weight * labels * yes - (1 - labels) * no, jnp.nan)


def binary_focal(
    logits: Array, labels: Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> Array:
    """Binary cross-entropy that cares less for what is right, −α (1 − p)^γ log p.

    p is the probability of the label; α stands for 1 − α where the label is no. One
    class out of several: `focal`.

    Args:
      logits: Log-odds of yes, float [...].
      labels: In [0, 1], of the same shape.
      alpha: α, the share of the positives; None weighs neither.
      gamma: γ; with zero it is the cross-entropy, times α.

    Returns:
      The loss of each answer, float32 [...]; NaN where a label is not in [0, 1].

    References:
      Lin et al., `Focal Loss for Dense Object Detection
      <https://arxiv.org/abs/1708.02002>`_, 2017.
    """
    logits, labels, valid = _given(logits, labels)
    losses = optax.sigmoid_focal_loss(logits, labels, alpha=alpha, gamma=gamma)
    return jnp.where(valid, losses, jnp.nan)


def hinge(scores: Array, labels: Array) -> Array:
    """Hinge loss of a yes or no, max(0, 1 − s) for yes and max(0, 1 + s) for no.

    Args:
      scores: Positive for yes, float [...].
      labels: 0 or 1, of the same shape; not −1 or 1.

    Returns:
      The loss of each answer, float32 [...]; NaN where a label is neither 0 nor 1.

    Example:
      >>> hinge(jnp.array([0.5, 0.5, 2.0]), jnp.array([1, 0, 1]))
      Array([0.5, 1.5, 0. ], dtype=float32)

    References:
      Cortes and Vapnik, `Support-Vector Networks
      <https://doi.org/10.1007/BF00994018>`_, 1995.
    """
    scores, labels, valid = _given(scores, labels)
    valid &= (labels == 0) | (labels == 1)
    losses = optax.hinge_loss(scores, 2 * labels - 1)
    return jnp.where(valid, losses, jnp.nan)


def _given(logits, labels):
    """Both as floats, with 0 for a label that is wrong, and which are right."""
    chex.assert_type(logits, float)
    chex.assert_equal_shape([logits, labels])
    logits, labels = at_least_float32(logits), at_least_float32(labels)
    valid = (labels >= 0) & (labels <= 1)
    return logits, jnp.where(valid, labels, 0), valid
