"""Token files of nanoGPT, read as they are."""

import os

import numpy as np

from fdl.config import in_range
from fdl.errors import UserError
from fdl.files import expanded, opened

BLOCK = 1 << 24  # Tokens that are compared at once.


def read_bin(path: str | os.PathLike[str], vocab_size: int | None = None) -> np.ndarray:
    """Token ids of a ``.bin`` file of nanoGPT: raw uint16, memory-mapped.

    The ``meta.pkl`` beside it is not read, since unpickling can run any code.

    Args:
      path: Path of the file.
      vocab_size: Number of token ids; if given, all tokens are compared with it.

    Returns:
      Token ids, uint16 [N].

    Raises:
      UserError: There is no such file, it is empty or holds no uint16, or a token is
        beyond the vocabulary.

    References:
      Karpathy, `nanoGPT <https://github.com/karpathy/nanoGPT>`_, 2022.
    """
    path = expanded(path)
    with opened(path) as file:
        size = file.seek(0, os.SEEK_END)
        if not size or size % 2:
            raise UserError(
                f"{path}: expected uint16, two bytes for each token, got {size} bytes"
            )
        file.seek(0)
        tokens = np.memmap(file, "<u2", "r")
    if vocab_size is None:
        return tokens
    vocab_size = in_range("vocab_size", vocab_size, 1, 2**31)
    for start in range(0, len(tokens), BLOCK):
        largest = int(tokens[start : start + BLOCK].max())
        if largest >= vocab_size:
            raise UserError(
                f"{path}: expected tokens from 0 to {vocab_size - 1}, as "
                f"vocab_size={vocab_size}, got {largest}"
            )
    return tokens
