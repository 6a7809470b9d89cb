"""Packing of documents into rows of equal length, with segments."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fdl.config import in_range
from fdl.errors import UserError

MAX_LENGTH = 1 << 20


def pack(documents: Sequence[Any], length: int) -> dict[str, np.ndarray]:
    """Packing of documents into rows: several in a row, told apart by their segments.

    The documents are taken in their order, each into the row with the least room that
    is enough for it (best fit), the latest of equals; if there is none, into a new one.
    A document longer than a row is split into pieces that share a token: the last of
    one piece, a target there, is the first input of the next. So in language modelling
    each token but the first of a document is a target once, as if it were alone.

    Models that take ``segments`` attend within a segment, and count positions from its
    start; `fdl.objectives.language_modelling` predicts no document from another. Its
    rows have one token more than the model sees: ``length`` is T + 1.

    Args:
      documents: Token ids of each document, integers [T_i], not empty.
      length: Number of tokens of a row, at least 2.

    Returns:
      ``tokens``, int32 [N, length], and ``segments``, int32 [N, length], which count
      from 1 in each row; both are 0 at padding, which is at the end.

    Raises:
      UserError: There are no documents, or one of them is empty.

    Example:
      >>> rows = pack([[5, 6, 7], [8, 9], [3, 4]], 5)
      >>> rows["tokens"]
      array([[5, 6, 7, 8, 9],
             [3, 4, 0, 0, 0]], dtype=int32)
      >>> rows["segments"]
      array([[1, 1, 1, 2, 2],
             [1, 1, 0, 0, 0]], dtype=int32)
      >>> padding_share(rows["segments"])
      0.3

    References:
      Krell et al., `Efficient Sequence Packing without Cross-contamination
      <https://arxiv.org/abs/2107.02027>`_, 2021.
    """
    length = in_range("length", length, 2, MAX_LENGTH)
    rows: list[list[np.ndarray]] = []
    # Rows by their room; bit s of `rooms` is set if there are rows with room for s.
    by_room: list[list[int]] = [[] for _ in range(length)]
    rooms = 0
    for piece in _pieces(documents, length):
        larger = rooms >> len(piece)
        if not larger:
            row, room = len(rows), length
            rows.append([])
        else:
            room = len(piece) + (larger & -larger).bit_length() - 1
            row = by_room[room].pop()
            if not by_room[room]:
                rooms ^= 1 << room
        rows[row].append(piece)
        left = room - len(piece)
        by_room[left].append(row)
        rooms |= 1 << left if left else 0
    tokens = np.zeros((len(rows), length), np.int32)
    segments = np.zeros((len(rows), length), np.int32)
    for i, pieces in enumerate(rows):
        lengths = [len(piece) for piece in pieces]
        end = sum(lengths)
        tokens[i, :end] = np.concatenate(pieces)
        segments[i, :end] = np.repeat(np.arange(1, len(pieces) + 1), lengths)
    return {"tokens": tokens, "segments": segments}


def padding_share(segments: Any) -> float:
    """Share of padding in packed rows.

    Args:
      segments: Segments, int [N, T], 0 at padding.
    """
    return float((np.asarray(segments) == 0).mean())


def checked_documents(documents: Sequence[Any]) -> Iterator[np.ndarray]:
    """Documents as arrays of token ids [T_i].

    Raises:
      UserError: There are none, or one is empty or holds no token ids.
    """
    if not len(documents):
        raise UserError("documents: expected at least one, got none")
    for i, document in enumerate(documents):
        ids = np.asarray(document)
        if not ids.size:
            raise UserError(f"documents[{i}]: expected tokens, got an empty document")
        if ids.ndim != 1 or ids.dtype.kind not in "iu":
            raise UserError(
                f"documents[{i}]: expected token ids, int [T], got {ids.dtype} "
                f"{list(ids.shape)}"
            )
        yield ids


def _pieces(documents: Sequence[Any], length: int) -> Iterator[np.ndarray]:
    """Documents, and pieces of longer ones, which share a token."""
    for ids in checked_documents(documents):
        for start in range(0, max(len(ids) - 1, 1), length - 1):
            yield ids[start : start + length]
