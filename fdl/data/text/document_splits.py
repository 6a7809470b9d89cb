"""Splits by documents, and documents that are in two of them."""

import hashlib
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fdl.data.splits import Splits, split_indices
from fdl.errors import DataWarning


def split_documents(
    documents: Sequence[Any],
    *,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    seed: int = 0,
) -> Splits:
    """Random division of documents into training, validation and test documents.

    No document is on two sides, which a division of their tokens cannot promise; but an
    equal one may be, see `duplicates`.

    Args:
      documents: Documents, such as `Corpus.documents`, or any other sequence.
      validation_fraction: Fraction for validation of what is not for testing; the
        number of documents is rounded up.
      test_fraction: Fraction of the documents for testing; also rounded up.
      seed: Seed of the division.

    Returns:
      Lists of the documents, in their order. ``np.concatenate`` of one is the tokens
      for `windows`.

    Raises:
      UserError: A part would be empty.

    Example:
      >>> parts = split_documents(["a", "b", "c", "d"], validation_fraction=0.3)
      >>> [len(part) for part in parts]
      [2, 1, 1]
    """
    parts: Any = split_indices(
        np.zeros(len(documents)),
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        seed=seed,
    )
    return Splits(*([documents[i] for i in np.sort(part)] for part in parts))


def duplicates(documents: Sequence[Any], others: Sequence[Any]) -> np.ndarray:
    """Documents that are in another split as well, exactly as they are.

    A model is better at what it was trained on: a test is fair without these. Equal
    documents are found by their SHA-256.

    Args:
      documents: Documents of a split, such as for training: texts, or token ids [T_i].
      others: Documents of another split.

    Returns:
      Pairs of indices of equal documents, int64 [D, 2]: the first in ``documents``, and
      each such in ``others``.

    Example:
      >>> duplicates(["a b", "c", "a b"], ["d", "a b", "c"])
      array([[0, 1],
             [1, 2]])
    """
    first: dict[bytes, int] = {}
    for i, document in enumerate(documents):
        first.setdefault(_digest(document), i)
    pairs = [
        (first[digest], j)
        for j, digest in enumerate(map(_digest, others))
        if digest in first
    ]
    return np.array(pairs, np.int64).reshape(-1, 2)


def warn_of_duplicates(documents: Splits) -> None:
    """Warns of documents for validation and testing that are for training as well.

    Args:
      documents: Documents of each split, or None where there is none; see `duplicates`.
    """
    for name, others in (
        ("validation", documents.validation),
        ("test", documents.test),
    ):
        others = () if others is None else others
        pairs = duplicates(documents.train, others)
        if len(pairs):
            first = str(others[pairs[0, 1]])
            example = first if len(first) <= 50 else f"{first[:49]}…"
            warnings.warn(
                f"{len(pairs)} of {len(others)} texts of the {name} are in training as "
                f"well, and a model is better at these: {example!r}",
                DataWarning,
                stacklevel=3,
            )


def _digest(document: Any) -> bytes:
    """Digest of a text, or of token ids whatever their dtype."""
    if isinstance(document, str):
        content = document.encode("utf-8", "surrogatepass")
    else:
        content = np.asarray(document, np.int64).tobytes()
    return hashlib.sha256(content).digest()
