"""Losses of multi-class classification."""

import jax
import jax.numpy as jnp
import optax

from fdl.errors import UserError
from fdl.losses.arguments import check_array, type_of
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
    """Softmax cross-entropy, −Σ_c q(c) log softmax(logits)[c].

    For a class index y it is −log softmax(logits)[y], the negative log-likelihood.
    Label smoothing replaces q by (1 − ε) q + ε / C. Class weights are applied in the
    mean, see `label_weights`: each example has the weight of its label. PyTorch, with
    smoothing, weighs each class of the smoothed distribution by its own weight instead;
    without smoothing both agree.

    Args:
      logits: Unnormalised log-probabilities, float [..., C]; −∞ excludes a class.
      labels: Class indices, int [...]; or distributions q, float [..., C].
      smoothing: Label smoothing ε, the share of the probability that is spread evenly
        over all classes, that of the label included.
      z_loss: Coefficient of log² Σ_c exp(logits[c]), a penalty that keeps the
        log-normaliser near zero.
      ignore: Class index whose loss is zero. For its weight to be zero in the mean as
        well, see `label_weights`.

    Returns:
      The loss of each example, float32 [...]; NaN, with a gradient of zero, where a
      label is no class index or no distribution, so that invalid labels do not go
      unnoticed.

    Raises:
      UserError: Logits or labels have another dtype or shape; or ``ignore`` is set, but
        labels are distributions.

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
    soft = jnp.issubdtype(labels.dtype, jnp.floating)
    if not soft:
        _check(logits, labels)
    elif labels.shape != logits.shape:
        raise UserError(
            f"labels of {type_of(labels)}: expected int{[*logits.shape[:-1]]}, class "
            f"indices, or float{[*logits.shape]}, distributions, as logits are "
            f"{type_of(logits)}"
        )
    check_array("logits", logits, "float", logits.shape)
    logits = at_least_float32(logits)
    loss_of = _cross_entropy_of_distributions if soft else _cross_entropy_of_indices
    losses, valid = loss_of(logits, labels, smoothing)
    if z_loss:
        losses += z_loss * jnp.square(jax.nn.logsumexp(logits, axis=-1))
    losses = jnp.where(valid, losses, jnp.nan)
    if ignore is None:
        return losses
    if soft:
        raise UserError(f"ignore={ignore}: expected None for labels as distributions")
    # Last, because an ignored label such as −100 is no class and has a loss of NaN.
    return jnp.where(is_label(labels, ignore), 0, losses)


def focal(logits: Array, labels: Array, *, gamma: float = 2.0) -> Array:
    """Multi-class focal loss, −(1 − p)^γ log p.

    It is the softmax cross-entropy with well-classified examples down-weighted; p is
    the probability of the label. The original, binary loss is `binary_focal`. Its
    class weight α becomes a weight per class in the mean: see `label_weights`.

    Args:
      logits: Unnormalised log-probabilities, float [..., C].
      labels: Class indices, int [...].
      gamma: Focusing parameter γ; zero gives the cross-entropy.

    Returns:
      The loss of each example, float32 [...]; NaN where a label is no class index.

    References:
      Lin et al., `Focal Loss for Dense Object Detection
      <https://arxiv.org/abs/1708.02002>`_, 2017.
    """
    _check(logits, labels)
    logits = at_least_float32(logits)
    index, valid = known_labels(labels, logits.shape[-1])
    is_target = jax.nn.one_hot(index, logits.shape[-1], dtype=bool)
    # The smallest finite number and not −∞: the gradient of a logsumexp is NaN if all
    # of its inputs are −∞, and the logits of the other classes may be.
    others = jnp.where(is_target, jnp.finfo(logits.dtype).min, logits)
    # log(1 − p) from the logits of the other classes, since 1 − p may round to zero.
    log_rest = jax.nn.logsumexp(others, axis=-1) - jax.nn.logsumexp(logits, axis=-1)
    losses = jnp.exp(gamma * log_rest) * cross_entropy(logits, index)
    return jnp.where(valid, losses, jnp.nan)


def crammer_singer(scores: Array, labels: Array) -> Array:
    """Multi-class hinge loss of Crammer and Singer, max(0, 1 + max_{c≠y} s(c) − s(y)).

    It is zero where the score of the label exceeds all others by at least one.
    PyTorch's ``multi_margin_loss`` is another loss, that of Weston and Watkins: the
    sum over c≠y of max(0, 1 + s(c) − s(y)), divided by the number of classes.

    Args:
      scores: Decision values s of the classes, finite, float [..., C].
      labels: Class indices y, int [...].

    Returns:
      The loss of each example, float32 [...]; NaN where a label is no class index.

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
    # Optax selects the score of the label by a product with a one-hot vector, which
    # some accelerators compute in reduced precision by default.
    with jax.default_matmul_precision("highest"):
        losses = optax.losses.multiclass_hinge_loss(at_least_float32(scores), index)
    return jnp.where(valid, losses, jnp.nan)


def _cross_entropy_of_indices(logits, labels, smoothing):
    """Losses of class indices, and a mask of the valid ones."""
    index, valid = known_labels(labels, logits.shape[-1])
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, index)
    if smoothing:
        # Cross-entropy with the uniform distribution, −Σ_c log softmax(logits)[c] / C.
        uniform = jax.nn.logsumexp(logits, axis=-1) - logits.mean(axis=-1)
        losses = (1 - smoothing) * losses + smoothing * uniform
    return losses, valid


def _cross_entropy_of_distributions(logits, labels, smoothing):
    """Losses of target distributions, and a mask of the valid ones."""
    labels = at_least_float32(labels)
    # The tolerance is wide enough for the sum of a thousand bfloat16 probabilities.
    valid = (labels >= 0).all(axis=-1) & (jnp.abs(labels.sum(axis=-1) - 1) < 0.01)
    if smoothing:
        labels = optax.smooth_labels(labels, smoothing)
    # The safe variant takes 0 · log 0 as zero, for excluded classes with logits of −∞.
    return optax.safe_softmax_cross_entropy(logits, labels), valid


def _check(logits, labels):
    check_array("logits", logits, "float", logits.shape)
    reason = f"class indices, as logits are {type_of(logits)}"
    check_array("labels", labels, "int", logits.shape[:-1], reason)
