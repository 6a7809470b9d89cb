"""Parallel texts: files whose lines are translations of each other."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from fdl.data.splits import Splits
from fdl.data.text.read_texts import read_texts
from fdl.errors import UserError


def read_parallel(
    folder: str | os.PathLike[str], languages: Sequence[str] = ("en", "de")
) -> Splits:
    """Parallel texts of a folder: each line of a file translates that of the others.

    The files are ``train.en``, ``train.de``, ``validation.en`` and so on, in UTF-8;
    those of ``test`` may be missing.

    Args:
      folder: Folder of the files.
      languages: Names of the languages, the suffixes of the files.

    Returns:
      Texts by language, str [N] as objects, of training, validation and test; None
      without a test.

    Raises:
      UserError: A file is missing, empty or no UTF-8, or has not as many lines as the
        others of its split.
    """
    place = pathlib.Path(folder)
    splits = ["train", "validation"]
    if any((place / f"test.{name}").exists() for name in languages):
        splits.append("test")
    parts = [_split(place, split, languages) for split in splits]
    return Splits(*parts, *[None] * (3 - len(parts)))


def _split(
    place: pathlib.Path, split: str, languages: Sequence[str]
) -> dict[str, np.ndarray]:
    texts = {
        name: np.array(read_texts(place / f"{split}.{name}", "text"), object)
        for name in languages
    }
    counts = {f"{split}.{name}": len(lines) for name, lines in texts.items()}
    if len({*counts.values()}) > 1:
        found = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        raise UserError(f"{place}: expected as many lines in each file: {found}")
    return texts
