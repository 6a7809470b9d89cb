"""Memory-mapped files of a corpus: token ids, and where documents begin."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.errors import UserError
from fdl.files import expanded, read_json

FORMAT = 1
META, TOKENS, OFFSETS = "corpus.json", "tokens.bin", "offsets.bin"


class Documents(Sequence):
    """Documents of a corpus, integers [T_i], read from the file as they are asked for.

    Attributes:
      tokens: Token ids of all documents, [N].
      offsets: Where each document begins, and the last ends, int64 [D + 1].
    """

    def __init__(self, tokens: np.ndarray, offsets: np.ndarray):
        # As plain arrays, whose slices cost less than those of a memory map.
        self.tokens, self.offsets = np.asarray(tokens), np.asarray(offsets)

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.offsets) - 1

    def __getitem__(self, index: Any) -> Any:
        """Document at an index, or the list of those of a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        i = range(len(self))[index]
        return self.tokens[self.offsets[i] : self.offsets[i + 1]]


class Corpus(NamedTuple):
    """Token ids of documents, in memory-mapped files.

    Attributes:
      tokens: Token ids of all documents one behind the other, uint16 [N], or uint32 of
        a vocabulary beyond 65,536.
      offsets: Where each document begins, and the last ends, int64 [D + 1].
      vocab_size: Number of token ids of the tokenizer.
      digest: Digest of the texts, the tokenizer and the options.
      seconds: Time that it took to tokenise them.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    vocab_size: int
    digest: str
    seconds: float

    @property
    def documents(self) -> Documents:
        """Documents, a sequence of integers [T_i]."""
        return Documents(self.tokens, self.offsets)


def read_corpus(folder: str | os.PathLike[str]) -> Corpus:
    """Corpus of a folder that `corpus` has written.

    Raises:
      UserError: The folder is missing or damaged: its files are not as long as they
        were. That their content is the same is not checked.
    """
    folder = expanded(folder)
    meta = read_json(folder / META)
    try:
        dtype = np.dtype({"uint16": "<u2", "uint32": "<u4"}[meta["dtype"]])
        num_tokens, num_documents = int(meta["num_tokens"]), int(meta["num_documents"])
        tokens = np.memmap(folder / TOKENS, dtype, "r")
        offsets = np.memmap(folder / OFFSETS, "<i8", "r")
        if (len(tokens), len(offsets)) != (num_tokens, num_documents + 1):
            raise ValueError("another length")
        return Corpus(
            tokens,
            offsets,
            int(meta["vocab_size"]),
            str(meta["digest"]),
            float(meta["seconds"]),
        )
    except (OSError, KeyError, TypeError, ValueError):
        raise UserError(
            f"{folder} is damaged; delete it, and it will be prepared again"
        ) from None
