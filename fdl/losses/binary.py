"""Losses of binary and multi-label classification."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from fdl.losses.arguments import check_array, type_of
from fdl.losses.half_precision import at_least_float32
from fdl.types import Array


def binary_cross_entropy(
    logits: Array,
    labels: Array,
    *,
    positive_weight: float | Sequence[float] | Array = 1.0,
) -> Array:
    """Binary cross-entropy of the sigmoid, −w y log σ(z) − (1 − y) log σ(−z).

    With several labels per example, [B, L], each label is an independent binary
    problem and `metrics.mean` averages over them: the multi-label loss.

    Args:
      logits: Log-odds z of the positive class, float [...].
      labels: Targets y in [0, 1], of the same shape: 0 or 1, or the probability of the
        positive class.
      positive_weight: Weight w of the positive term, a number, or float [L] for L
        labels per example. A weight above one compensates for rare positives.

    Returns:
      The loss of each label, float32 [...]; NaN, with a gradient of zero, where a
      label is not in [0, 1], so that invalid labels do not go unnoticed.

    Example:
      >>> binary_cross_entropy(jnp.array([0.0, -1e4]), jnp.array([1, 0]))
      Array([0.6931472, 0.       ], dtype=float32)

    References:
      Goodfellow, Bengio and Courville, `Deep Learning, section 6.2.2.2
      <https://www.deeplearningbook.org/contents/mlp.html>`_, 2016.
    """
    logits, labels, valid = _checked(logits, labels)
    weight = jnp.asarray(positive_weight, logits.dtype)
    # An error if the weights would otherwise enlarge the shape of the loss.
    weight = jnp.broadcast_to(weight, logits.shape)
    # log σ(−z) and not log(1 − σ(z)), which is −∞ where σ(z) rounds to one.
    log_p, log_not_p = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
    losses = -weight * labels * log_p - (1 - labels) * log_not_p
    return jnp.where(valid, losses, jnp.nan)


def binary_focal(
    logits: Array, labels: Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> Array:
    """Binary focal loss, −α (1 − p)^γ log p.

    It is the binary cross-entropy with well-classified examples down-weighted. Here p
    is the probability of the label, and 1 − α takes the place of α for negatives. For
    one class out of several see `focal`.

    Args:
      logits: Log-odds of the positive class, float [...].
      labels: Targets in [0, 1], of the same shape.
      alpha: Weight α of the positives, in [0, 1]; None weighs both classes by one.
      gamma: Focusing parameter γ; zero gives the cross-entropy, times α.

    Returns:
      The loss of each label, float32 [...]; NaN where a label is not in [0, 1].

    References:
      Lin et al., `Focal Loss for Dense Object Detection
      <https://arxiv.org/abs/1708.02002>`_, 2017.
    """
    logits, labels, valid = _checked(logits, labels)
    losses = optax.sigmoid_focal_loss(logits, labels, alpha=alpha, gamma=gamma)
    return jnp.where(valid, losses, jnp.nan)


def hinge(scores: Array, labels: Array) -> Array:
    """Binary hinge loss, max(0, 1 − s) for positives and max(0, 1 + s) for negatives.

    Args:
      scores: Decision values s, positive for class 1, float [...].
      labels: 0 or 1, of the same shape; not −1 or 1.

    Returns:
      The loss of each label, float32 [...]; NaN where a label is neither 0 nor 1.

    Example:
      >>> hinge(jnp.array([0.5, 0.5, 2.0]), jnp.array([1, 0, 1]))
      Array([0.5, 1.5, 0. ], dtype=float32)

    References:
      Cortes and Vapnik, `Support-Vector Networks
      <https://doi.org/10.1007/BF00994018>`_, 1995.
    """
    scores, labels, valid = _checked(scores, labels)
    valid &= (labels == 0) | (labels == 1)
    # Optax expects labels of −1 and 1.
    losses = optax.hinge_loss(scores, 2 * labels - 1)
    return jnp.where(valid, losses, jnp.nan)


def _checked(logits, labels):
    """Logits and labels as floats, invalid labels as 0, and a mask of valid ones."""
    check_array("logits", logits, "float", logits.shape)
    check_array("labels", labels, "", logits.shape, f"as logits of {type_of(logits)}")
    logits, labels = at_least_float32(logits), at_least_float32(labels)
    valid = (labels >= 0) & (labels <= 1)
    # Labels are replaced before the loss is computed, not only the loss afterwards: the
    # gradient through `where` is zero times a derivative, NaN if the label is NaN.
    return logits, jnp.where(valid, labels, 0), valid
