"""Description of a data set that fdl prepares itself."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

Splits = Mapping[str, Mapping[str, np.ndarray]]


class File(NamedTuple):
    """Published file of a data set.

    Attributes:
      address: URL of the file.
      size: Length in bytes.
      sha256: SHA-256 digest, 64 hexadecimal digits.
    """

    address: str
    size: int
    sha256: str


class Dataset(NamedTuple):
    """Description of a data set that is prepared without TensorFlow.

    To add a data set, define one in a module of this package, and import it in its
    ``__init__.py``.

    Attributes:
      description: Content of the data set, in a sentence.
      homepage: URL of its description.
      read: Function from the paths of the files to arrays [N, ...] by split and name;
        text is an array of str objects [N].
      files: Files to download, by name of the file; or, in place of one that is not
        known for sure, what has to be put there by hand.
      num_classes: Number of classes, by name of the feature.
      classes: Names of the classes in their place, by name of the feature.
      version: Version, to be raised whenever ``read`` returns other arrays: prepared
        data of the same version is reused.
    """

    description: str
    homepage: str
    read: Callable[[Mapping[str, Path]], Splits]
    files: Mapping[str, File | str] = {}
    num_classes: Mapping[str, int] = {}
    classes: Mapping[str, Sequence[str]] = {}
    version: str = "1.0.0"
