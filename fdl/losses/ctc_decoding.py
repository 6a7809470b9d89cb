"""Greedy decoding of connectionist temporal classification."""

import jax.numpy as jnp

from fdl.errors import UserError
from fdl.losses.arguments import check_array, type_of
from fdl.types import Array


def ctc_greedy(
    logits: Array, *, mask: Array | None = None, blank: int = 0
) -> tuple[Array, Array]:
    """Best path decoding: the labels of the likeliest alignment.

    The likeliest class of each frame is taken, repetitions are merged, and blanks are
    dropped. Another label sequence may be likelier, as the sum over its alignments.

    Args:
      logits: Unnormalised log-probabilities of each frame, float [B, T, C].
      mask: True for frames that are not padding, bool [B, T]. Default: all of them.
      blank: Class index of the blank.

    Returns:
      Labels, int32 [B, T], at the beginning of each row, and then blanks; and a mask of
      the labels, bool [B, T].

    Raises:
      UserError: The arrays have other dtypes or shapes.

    Example:
      >>> frames = jnp.eye(3)[jnp.array([[1, 1, 0, 1, 2]])]
      >>> labels, mask = ctc_greedy(frames)
      >>> labels[mask].tolist()
      [1, 1, 2]

    References:
      Graves et al., `Connectionist Temporal Classification: Labelling Unsegmented
      Sequence Data with Recurrent Neural Networks
      <https://www.cs.toronto.edu/~graves/icml_2006.pdf>`_, 2006, section 3.2.
    """
    if logits.ndim != 3:
        raise UserError(f"logits of {type_of(logits)}: expected float[B, T, C]")
    check_array("logits", logits, "float", logits.shape)
    best = logits.argmax(axis=-1).astype(jnp.int32)
    if mask is not None:
        check_array("mask", mask, "", best.shape, f"as logits are {type_of(logits)}")
        best = jnp.where(mask.astype(bool), best, blank)
    before = jnp.pad(best, ((0, 0), (1, 0)), constant_values=blank)[:, :-1]
    is_label = (best != blank) & (best != before)
    # A stable sort brings the labels to the front in their order.
    order = jnp.argsort(~is_label, axis=1, stable=True)
    labels = jnp.where(is_label, best, blank)
    counts = is_label.sum(axis=1, keepdims=True)
    present = jnp.arange(best.shape[1])[None] < counts
    return jnp.take_along_axis(labels, order, axis=1), present
