"""Prompts as padded arrays, whose lengths are few."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fdl.errors import UserError
from fdl.generation.decoder import Decoder

LEAST_BUCKET = 8  # Shorter prompts are padded to this length.


def padded(
    decoder: Decoder, prompts: Sequence[Any], max_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
    """Prompts of one batch, padded on the right to a length of few.

    A program is compiled for each length: it is a power of two, or where the positions
    of the model do not suffice for that, what the generated tokens leave.

    Args:
      decoder: Decoder.
      prompts: Token ids of each prompt, int [P] each; or an array, int [B, P].
      max_tokens: Number of tokens that follow.

    Returns:
      Prompts, int32 [B, P], and their mask, bool [B, P].

    Raises:
      UserError: A prompt is empty, has a token id that the model does not, or is too
        long for it.
    """
    if max_tokens < 0:
        raise UserError(f"max_tokens={max_tokens}: expected at least 0")
    rows = [np.asarray(prompt) for prompt in prompts]
    if not rows:
        raise UserError("prompts=[]: expected at least one")
    for i, row in enumerate(rows):
        if row.ndim == 1 and not row.size:
            raise UserError(
                f"prompts[{i}]: expected at least one token id, such as that of the "
                "beginning of a text"
            )
        if row.ndim != 1 or not np.issubdtype(row.dtype, np.integer):
            raise UserError(
                f"prompts[{i}]: expected token ids, int [P], such as those of the "
                "encode of a tokenizer"
            )
        _check_ids(row, i, decoder.vocab_size)
    longest = max(row.size for row in rows)
    length = max(LEAST_BUCKET, 1 << (longest - 1).bit_length())
    if decoder.max_length is not None:
        room = decoder.max_length - max_tokens
        if longest > decoder.max_length:
            raise UserError(
                f"prompts: {longest} tokens: expected at most the "
                f"{decoder.max_length} positions of the model"
            )
        if longest > room:
            raise UserError(
                f"prompts: {longest} tokens and max_tokens={max_tokens}: expected at "
                f"most the {decoder.max_length} positions of the model in all"
            )
        length = min(length, room)
    tokens, mask = np.zeros((2, len(rows), length), np.int32)
    for i, row in enumerate(rows):
        tokens[i, : row.size], mask[i, : row.size] = row, 1
    return tokens, mask.astype(bool)


def _check_ids(row, i, vocab_size):
    wrong = row[(row < 0) | (row >= vocab_size)] if vocab_size else row[row < 0]
    if wrong.size:
        raise UserError(
            f"prompts[{i}]: token id {wrong[0]}: expected 0 to {vocab_size - 1}, which "
            "the model has"
        )
