"""A loss for sequences of labels whose places are not known."""

import chex
import jax
import jax.numpy as jnp
import optax

from fdl.losses.half_precision import at_least_float32
from fdl.losses.label_weights import known_labels
from fdl.types import Array

# Far below the log-probability of any path, so that logits of ten thousand fit.
IMPOSSIBLE = -1e30


def ctc(
    logits: Array,
    labels: Array,
    *,
    mask: Array | None = None,
    label_mask: Array | None = None,
    blank: int = 0,
) -> Array:
    """Connectionist temporal classification: −log of the sum over all alignments.

    An alignment says a label or blank at each frame; without repetitions, and then
    without blanks, it is the sequence of labels.

    Args:
      logits: Of each frame, float [B, T, C], finite.
      labels: Class indices, int [B, N], none of them blank.
      mask: bool [B, T], true where a frame is. Default: everywhere.
      label_mask: bool [B, N], true where a label is; padding comes after the labels.
      blank: Index of the class that is no label.

    Returns:
      The loss of each sequence, float32 [B]. Infinite where there are fewer frames
      than labels need, one each and a blank between equal neighbours; NaN where a
      label is no class or blank, or padding comes before one. Both have a gradient of
      zero.

    Example:
      >>> ctc(jnp.zeros((1, 2, 2)), jnp.array([[1]]))  # 3 of 4 alignments say it.
      Array([0.2876821], dtype=float32)

    References:
      Graves et al., `Connectionist Temporal Classification: Labelling Unsegmented
      Sequence Data with Recurrent Neural Networks
      <https://www.cs.toronto.edu/~graves/icml_2006.pdf>`_, 2006.
    """
    chex.assert_rank([logits, labels], [3, 2])
    chex.assert_type([logits, labels], [float, int])
    chex.assert_equal_shape_prefix([logits, labels], 1)
    frames = jnp.ones(logits.shape[:2], bool) if mask is None else mask.astype(bool)
    there = jnp.ones(labels.shape, bool) if label_mask is None else label_mask > 0
    index, known = known_labels(labels, logits.shape[-1])

    lengths = there.sum(axis=1, keepdims=True)
    packed = there == (jnp.arange(labels.shape[1])[None] < lengths)
    valid = (packed & ((known & (index != blank)) | ~there)).all(axis=1)
    repeated = (index[:, 1:] == index[:, :-1]) & there[:, 1:]
    needed = lengths.squeeze(1) + repeated.sum(axis=1)
    feasible = frames.sum(axis=1) >= needed

    # Optax picks log-probabilities by a product, which some accelerators round.
    with jax.default_matmul_precision("highest"):
        losses = optax.ctc_loss(
            at_least_float32(logits),
            1.0 - frames,
            index,
            1.0 - there,
            blank_id=blank,
            log_epsilon=IMPOSSIBLE,
        )
    return jnp.where(valid, jnp.where(feasible, losses, jnp.inf), jnp.nan)
