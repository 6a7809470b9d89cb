"""Connectionist temporal classification: a loss for unaligned label sequences."""

import jax
import jax.numpy as jnp
import optax

from fdl.errors import UserError
from fdl.losses.arguments import check_array, type_of
from fdl.losses.half_precision import at_least_float32
from fdl.losses.label_weights import known_labels
from fdl.types import Array

# Stands for log 0, since −∞ would make gradients NaN. Optax's default of −1e5 is no
# less than the log-probability of a path over ten frames with logits of ten thousand.
IMPOSSIBLE = -1e30


def ctc(
    logits: Array,
    labels: Array,
    *,
    mask: Array | None = None,
    label_mask: Array | None = None,
    blank: int = 0,
) -> Array:
    """CTC loss, the negative log-likelihood of a sequence summed over its alignments.

    An alignment assigns a label or the blank to each frame. Merging repeated labels and
    then dropping blanks turns it into the label sequence.

    Args:
      logits: Unnormalised log-probabilities of each frame, finite, float [B, T, C].
      labels: Class indices, none of them blank, int [B, N].
      mask: True for frames that are not padding, bool [B, T]. Default: all of them.
      label_mask: True for labels, false for the padding after them, bool [B, N].
        Default: all are labels.
      blank: Class index of the blank.

    Returns:
      The loss of each sequence, float32 [B]. Infinite where there are too few frames:
      each label needs one, and equal neighbours need a blank between them. NaN where a
      label is no class index or the blank, or padding precedes a label. Both have a
      gradient of zero.

    Example:
      >>> ctc(jnp.zeros((1, 2, 2)), jnp.array([[1]]))  # 3 of 4 alignments give it.
      Array([0.2876821], dtype=float32)

    References:
      Graves et al., `Connectionist Temporal Classification: Labelling Unsegmented
      Sequence Data with Recurrent Neural Networks
      <https://www.cs.toronto.edu/~graves/icml_2006.pdf>`_, 2006.
    """
    if logits.ndim != 3 or labels.ndim != 2:
        raise UserError(
            f"logits of {type_of(logits)} and labels of {type_of(labels)}: expected "
            "float[B, T, C] and int[B, N]"
        )
    check_array("logits", logits, "float", logits.shape)
    shape = (logits.shape[0], labels.shape[1])
    check_array("labels", labels, "int", shape, f"as logits are {type_of(logits)}")
    frames = jnp.ones(logits.shape[:2], bool) if mask is None else mask.astype(bool)
    present = jnp.ones(labels.shape, bool) if label_mask is None else label_mask > 0
    index, known = known_labels(labels, logits.shape[-1])

    lengths = present.sum(axis=1, keepdims=True)
    # Optax counts padding only, so that padding before a label would go unnoticed.
    packed = present == (jnp.arange(labels.shape[1])[None] < lengths)
    valid = (packed & ((known & (index != blank)) | ~present)).all(axis=1)
    # Repetitions of a label are merged, unless a blank comes between them.
    repeated = (index[:, 1:] == index[:, :-1]) & present[:, 1:]
    frames_needed = lengths.squeeze(1) + repeated.sum(axis=1)
    feasible = frames.sum(axis=1) >= frames_needed

    # Optax selects log-probabilities by a product with one-hot vectors, which some
    # accelerators compute in reduced precision by default.
    with jax.default_matmul_precision("highest"):
        losses = optax.ctc_loss(
            at_least_float32(logits),
            1.0 - frames,
            index,
            1.0 - present,
            blank_id=blank,
            log_epsilon=IMPOSSIBLE,
        )
    return jnp.where(valid, jnp.where(feasible, losses, jnp.inf), jnp.nan)
