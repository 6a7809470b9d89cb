"""Token ids of training and held-out texts: of a data set by its name, or of files."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from fdl.data.loading import load
from fdl.data.splits import Splits
from fdl.data.text.bin_files import read_bin
from fdl.data.text.corpus import corpus
from fdl.data.text.document_splits import warn_of_duplicates
from fdl.data.text.text_files import files_of, pieces_of_files
from fdl.data.text.tokenizer import Tokenizer
from fdl.errors import UserError, near

Path = str | os.PathLike[str]


def load_tokens(
    name: str,
    tokenizer: Callable[[Iterable[str]], Tokenizer],
    *,
    train: str = "train",
    validation: str = "validation",
    test: str | None = "test",
    feature: str = "text",
    **options: Any,
) -> tuple[Splits, Tokenizer]:
    """Token ids of the texts of a data set, one after another.

    Where the tokenizer has a special token ``eos``, it follows each text.

    Args:
      name: Name of the data set; see `fdl.data.load`.
      tokenizer: ``tokenizer(texts) -> Tokenizer``, of the training texts, such as
        `tokenizers.characters`.
      train: Split in the syntax of TFDS.
      validation: Split for validation.
      test: Split for testing, or None.
      feature: Name of the texts.
      **options: Further arguments of `fdl.data.load`.

    Returns:
      Token ids of training, validation and test, int32 [N] each; and the tokenizer.

    Raises:
      UserError: There is no such data set, split or feature, or a text has a character
        that the tokenizer does not know.

    Warns:
      DataWarning: A text for validation or testing is in training as well.
    """

    def texts(split: str) -> list[str]:
        source = load(name, split, **options)
        if feature not in source:
            raise UserError(f"{name} has no {feature!r}. {near(feature, source)}")
        return list(source[feature])

    training = texts(train)
    made = tokenizer(training)
    end = [made.special["eos"]] if "eos" in made.special else []

    def encode(parts: Iterable[str]) -> np.ndarray:
        ids = [np.append(made.encode(part), end) for part in parts]
        return np.concatenate(ids).astype(np.int32)

    held_out = (split and texts(split) for split in (validation, test))
    documents = Splits(training, *held_out)
    warn_of_duplicates(documents)
    return Splits(*(part and encode(part) for part in documents)), made


def read_tokens(
    train: Path,
    validation: Path,
    tokenizer: Tokenizer | Callable[[Iterable[str]], Tokenizer],
    *,
    folder: Path,
    test: Path | None = None,
    max_characters: int = 10_000_000,
) -> tuple[Splits, Tokenizer]:
    """Token ids of files of one's own, one document after another.

    A file whose name ends in ``.bin`` has the tokens of nanoGPT, see `read_bin`; of any
    other, and of a folder, texts are tokenised once, see `corpus`. Where the tokenizer
    has a special token ``eos``, it follows each text.

    Args:
      train: File or folder for training.
      validation: File or folder for validation.
      tokenizer: Tokenizer; or ``tokenizer(texts) -> Tokenizer``, of the beginning of
        the training texts.
      folder: Folder in which tokenised texts are kept.
      test: File or folder for testing, or None.
      max_characters: Number of characters to make the tokenizer of.

    Returns:
      Token ids of training, validation and test, [N] each; and the tokenizer.

    Raises:
      UserError: A file cannot be read, or has a token that the tokenizer does not know.
      RunError: The folder cannot be written.
    """
    made = tokenizer
    if not isinstance(made, Tokenizer):
        made = made(_beginning(train, max_characters))
    end = "eos" if "eos" in made.special else None

    def tokens(path: Path) -> np.ndarray:
        if os.fspath(path).endswith(".bin"):
            return read_bin(path, made.vocab_size)
        return corpus(path, made, folder=folder, end=end).tokens

    held_out = (path and tokens(path) for path in (validation, test))
    return Splits(tokens(train), *held_out), made


def _beginning(path: Path, max_characters: int) -> Iterator[str]:
    """Texts of files, up to a number of characters."""
    if os.fspath(path).endswith(".bin"):
        raise UserError(f"{path}: expected texts to make a tokenizer of, not tokens")
    count = 0
    for piece in pieces_of_files(files_of(path), "text"):
        yield piece.text[: max_characters - count]
        count += len(piece.text)
        if count >= max_characters:
            break
