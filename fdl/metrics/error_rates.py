"""Error rates of sequences by their edit distance: words, characters, labels."""

from collections.abc import Callable, Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.metrics.decisions import weights_of
from fdl.types import Array, Mean


@jax.jit
def edit_distance(
    predicted: Array, actual: Array, predicted_mask: Array, actual_mask: Array
) -> Array:
    """Edit distance of Levenshtein, the fewest insertions, deletions and substitutions.

    Args:
      predicted: Predicted ids, int [B, M].
      actual: Reference ids, int [B, N].
      predicted_mask: True for ids that are not padding, which follows them, bool
        [B, M].
      actual_mask: The same for the reference, bool [B, N].

    Returns:
      int32 [B].

    Example:
      >>> kitten, sitting = jnp.array([[1, 2, 3, 3, 4, 5]]), jnp.array(
      ...     [[6, 2, 3, 3, 2, 5, 7]]
      ... )
      >>> all_of = [jnp.ones(x.shape, bool) for x in (kitten, sitting)]
      >>> edit_distance(kitten, sitting, *all_of)
      Array([3], dtype=int32)
    """
    columns = jnp.arange(actual.shape[1] + 1, dtype=jnp.int32)[None]

    def add(distances, column):
        """Distances of one more predicted id to each beginning of the reference."""
        predicted_id, present = column
        differs = (actual != predicted_id[:, None]).astype(jnp.int32)
        # One more insertion, or a substitution.
        best = (distances + 1).at[:, 1:].min(distances[:, :-1] + differs)
        # Any number of deletions: the least of best[k] + (j - k) for k up to j.
        best = jax.lax.cummin(best - columns, axis=1) + columns
        return jnp.where(present[:, None], best, distances), None

    start = jnp.broadcast_to(columns, (len(actual), columns.shape[1]))
    columns_of_predicted = predicted.T, predicted_mask.astype(bool).T
    distances, _ = jax.lax.scan(add, start, columns_of_predicted)
    lengths = actual_mask.sum(axis=1, keepdims=True).astype(jnp.int32)
    return jnp.take_along_axis(distances, lengths, axis=1).squeeze(1)


def label_error_rate(
    predicted: Array,
    actual: Array,
    mask: Array | None = None,
    *,
    predicted_mask: Array | None = None,
    actual_mask: Array | None = None,
) -> Mean:
    """Label error rate, Σ wᵢ edit distanceᵢ / Σ wᵢ lengthᵢ of the references.

    Args:
      predicted: Predicted ids, int [B, M].
      actual: Reference ids, int [B, N].
      mask: Weights of the sequences, [B].
      predicted_mask: True for ids that are not padding, which follows them, bool
        [B, M]. Default: all.
      actual_mask: The same for the reference, bool [B, N].

    Raises:
      UserError: The shape of the mask does not match.
    """
    weights = weights_of(mask, (len(actual),))
    if predicted_mask is None:
        predicted_mask = jnp.ones(predicted.shape, bool)
    if actual_mask is None:
        actual_mask = jnp.ones(actual.shape, bool)
    edits = edit_distance(predicted, actual, predicted_mask, actual_mask)
    return Mean((weights * edits).sum(), (weights * actual_mask.sum(axis=1)).sum())


def word_error_rate(
    predictions: Sequence[str], references: Sequence[str], mask: Array | None = None
) -> Mean:
    """Word error rate, the edits of all texts by the words of all references.

    Words are what white space separates. The rate may exceed one; texts are compared as
    they are, without changing case or punctuation.

    Args:
      predictions: Predicted texts, N of them.
      references: Correct texts.
      mask: Weights of the texts, [N].

    Raises:
      UserError: There are not as many predictions as references.

    Example:
      >>> word_error_rate(["the cat sat"], ["the cat sat down"]).compute()
      Array(0.25, dtype=float32)
    """
    return _text_error_rate(str.split, predictions, references, mask)


def character_error_rate(
    predictions: Sequence[str], references: Sequence[str], mask: Array | None = None
) -> Mean:
    """Character error rate, the edits of all texts by the length of all references.

    Characters are Unicode code points, spaces included.

    Args:
      predictions: Predicted texts, N of them.
      references: Correct texts.
      mask: Weights of the texts, [N].

    Raises:
      UserError: There are not as many predictions as references.

    Example:
      >>> character_error_rate(["kitten"], ["sitting"]).compute()
      Array(0.42857143, dtype=float32)
    """
    return _text_error_rate(list, predictions, references, mask)


def _text_error_rate(
    split: Callable[[str], Sequence[str]],
    predictions: Sequence[str],
    references: Sequence[str],
    mask: Array | None,
) -> Mean:
    """Error rate of the parts of texts."""
    if len(predictions) != len(references):
        raise UserError(
            f"len(predictions)={len(predictions)}: expected {len(references)}, one for "
            "each reference"
        )
    ids: dict[str, int] = {}
    predicted, predicted_mask = _padded(split, predictions, ids)
    actual, actual_mask = _padded(split, references, ids)
    weights = np.zeros(len(actual), np.float32)
    size = len(references)
    weights[:size] = 1 if mask is None else weights_of(mask, (size,))
    masks = {"predicted_mask": predicted_mask, "actual_mask": actual_mask}
    return jax.jit(label_error_rate)(predicted, actual, weights, **masks)


def _padded(
    split: Callable[[str], Sequence[str]], texts: Iterable[str], ids: dict[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Parts of texts as ids, int32 [N, M], and a mask; sizes are powers of two.

    So programs are compiled for a few shapes alone.
    """
    rows = [[ids.setdefault(part, len(ids)) for part in split(text)] for text in texts]
    longest = max(map(len, rows), default=0)
    shape = [1 << max(size - 1, 0).bit_length() for size in (len(rows), longest)]
    padded, mask = np.zeros(shape, np.int32), np.zeros(shape, bool)
    for i, row in enumerate(rows):
        padded[i, : len(row)], mask[i, : len(row)] = row, True
    return padded, mask
