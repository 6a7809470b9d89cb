"""Losses for one class out of several."""

import chex
import jax
import jax.numpy as jnp
import optax

from fdl.losses.half_precision import at_least_float32
from fdl.losses.label_weights import is_label, known_labels
from fdl.types import Array


def cross_entropy(
    logits: Array,
    labels: Array,
    *,
    smoothing: float = 0.0,
    z_loss: float = 0.0,
    ignore: int | None = None,
) -> Array:
    """Cross-entropy of the softmax, −Σ_c q(c) log softmax(logits)[c].

    Of a class index y it is −log softmax(logits)[y], the negative log-likelihood. With
    smoothing ε, q is (1 − ε) q + ε / C. Weights of classes belong to the mean: see
    `label_weights`. There PyTorch, when it smooths as well, weighs each class of the
    smoothed distribution by its own weight; here the whole example has one weight,
    that of its label. Without smoothing both are the same.

    Args:
      logits: Unnormalised log-probabilities, float [..., C]; −∞ rules a class out.
      labels: Class indices, int [...]; or distributions q, float [..., C].
      smoothing: Share ε of the probability that is spread evenly over all classes,
        the right one included.
      z_loss: Price of log² Σ_c exp(logits[c]), which holds the logits near zero.
      ignore: A class index whose loss is zero. For its weight to be zero in the mean
        as well, see `label_weights`.

    Returns:
      The loss of each example, float32 [...]. It is NaN, with a gradient of zero,
      where a label is no class or no distribution, so that a wrong label is seen.

    Example:
      >>> cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3]))
      Array([1.3862944, 1.3862944], dtype=float32)

    References:
      Goodfellow, Bengio and Courville, `Deep Learning, section 6.2.2.3
      <https://www.deeplearningbook.org/contents/mlp.html>`_, 2016.

      Szegedy et al., `Rethinking the Inception Architecture for Computer Vision
      <https://arxiv.org/abs/1512.00567>`_, 2015 (smoothing).

      Chowdhery et al., `PaLM: Scaling Language Modeling with Pathways
      <https://arxiv.org/abs/2204.02311>`_, 2022, section 5 (z-loss).
    """
    chex.assert_type(logits, float)
    logits = at_least_float32(logits)
    soft = jnp.issubdtype(labels.dtype, jnp.floating)
    losses, valid = (_of_distributions if soft else _of_indices)(
        logits, labels, smoothing
    )
    if z_loss:
        losses += z_loss * jnp.square(jax.nn.logsumexp(logits, axis=-1))
    losses = jnp.where(valid, losses, jnp.nan)
    if ignore is None:
        return losses
    if soft:
        raise ValueError(f"ignore={ignore} needs class indices, not distributions.")
    return jnp.where(is_label(labels, ignore), 0, losses)


def focal(logits: Array, labels: Array, *, gamma: float = 2.0) -> Array:
    """Cross-entropy that cares less for what is right already, −(1 − p)^γ log p.

    p is the probability of the label. This is the loss of one class out of several;
    the original one, of yes or no, is `binary_focal`. Its factor α, which weighs the
    two answers, is for several classes a weight of each: see `label_weights`.

    Args:
      logits: Unnormalised log-probabilities, float [..., C].
      labels: Class indices, int [...].
      gamma: γ; with zero it is the cross-entropy.

    Returns:
      The loss of each example, float32 [...]; NaN where a label is no class.

    References:
      Lin et al., `Focal Loss for Dense Object Detection
      <https://arxiv.org/abs/1708.02002>`_, 2017.
    """
    _check(logits, labels)
    logits = at_least_float32(logits)
    index, valid = known_labels(labels, logits.shape[-1])
    chosen = jax.nn.one_hot(index, logits.shape[-1], dtype=bool)
    # Not −∞, which has no gradient where all others are ruled out as well.
    others = jnp.where(chosen, jnp.finfo(logits.dtype).min, logits)
    # The logarithm of 1 − p, from the other classes: 1 − p itself rounds to zero.
    log_rest = jax.nn.logsumexp(others, axis=-1) - jax.nn.logsumexp(logits, axis=-1)
    losses = jnp.exp(gamma * log_rest) * cross_entropy(logits, index)
    return jnp.where(valid, losses, jnp.nan)


def crammer_singer(scores: Array, labels: Array) -> Array:
    """Hinge loss of several classes by Crammer and Singer.

    max(0, 1 + max_{c≠y} s(c) − s(y)): the label has to lead by one. PyTorch's
    ``multi_margin_loss`` is another loss, the mean over the classes c of
    max(0, 1 + s(c) − s(y)).

    Args:
      scores: Float [..., C], finite.
      labels: Class indices, int [...].

    Returns:
      The loss of each example, float32 [...]; NaN where a label is no class.

    Example:
      >>> crammer_singer(jnp.array([2.0, 1.5, 0.0]), jnp.array(0))
      Array(0.5, dtype=float32)

    References:
      Crammer and Singer, `On the Algorithmic Implementation of Multiclass
      Kernel-based Vector Machines
      <https://jmlr.org/papers/v2/crammer01a.html>`_, 2001.
    """
    _check(scores, labels)
    index, valid = known_labels(labels, scores.shape[-1])
    # Optax picks the score by a product, which some accelerators round.
    with jax.default_matmul_precision("highest"):
        losses = optax.losses.multiclass_hinge_loss(at_least_float32(scores), index)
    return jnp.where(valid, losses, jnp.nan)


def _of_indices(logits, labels, smoothing):
    _check(logits, labels)
    index, valid = known_labels(labels, logits.shape[-1])
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, index)
    if smoothing:
        even = jax.nn.logsumexp(logits, axis=-1) - logits.mean(axis=-1)
        losses = (1 - smoothing) * losses + smoothing * even
    return losses, valid


def _of_distributions(logits, labels, smoothing):
    chex.assert_equal_shape([logits, labels])
    labels = at_least_float32(labels)
    # A sum of rounded probabilities is one to within a hundredth.
    valid = (labels >= 0).all(axis=-1) & (jnp.abs(labels.sum(axis=-1) - 1) < 0.01)
    if smoothing:
        labels = optax.smooth_labels(labels, smoothing)
    return optax.safe_softmax_cross_entropy(logits, labels), valid


def _check(logits, labels):
    chex.assert_type([logits, labels], [float, int])
    chex.assert_rank(logits, labels.ndim + 1)
    chex.assert_equal_shape_prefix([logits, labels], labels.ndim)
