"""What a data set is made of."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

Splits = Mapping[str, Mapping[str, np.ndarray]]


class File(NamedTuple):
    """A published file.

    Attributes:
      address: Where to download it.
      size: Its length in bytes.
      sha256: Its digest, in hexadecimal digits.
    """

    address: str
    size: int
    sha256: str


class Dataset(NamedTuple):
    """A data set that needs no TensorFlow to be prepared.

    To add one, write such a row in a file of this folder, and name it in
    ``__init__.py``.

    Attributes:
      description: What it is, in a sentence.
      homepage: Where it is described.
      read: Makes arrays [N, ...] by split and name, of the paths of the files.
      files: What to download, by the name of the file.
      num_classes: How many classes there are, by the name of the feature.
      version: To be raised whenever ``read`` returns other arrays.
    """

    description: str
    homepage: str
    read: Callable[[Mapping[str, Path]], Splits]
    files: Mapping[str, File] = {}
    num_classes: Mapping[str, int] = {}
    version: str = "1.0.0"
