"""Token ids of a text data set, by its name."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fdl.data.loading import load
from fdl.data.splits import Splits
from fdl.data.text.document_splits import warn_of_duplicates
from fdl.data.text.tokenizer import Tokenizer
from fdl.errors import UserError, near


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
