"""Training, validation and test split of a dataset, loaded and encoded."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fdl.data.loading import load
from fdl.data.preprocessing import Preprocessing, encoder
from fdl.data.splits import Splits
from fdl.errors import UserError, near


def load_splits(
    name: str,
    *,
    train: str = "train[:-10%]",
    validation: str = "train[-10%:]",
    test: str = "test",
    **options: Any,
) -> Splits:
    """Loads training, validation and test split of a dataset.

    Args:
      name: Name of the dataset; see `load`.
      train: Split in the syntax of TFDS. Default: the training split without its last
        tenth.
      validation: Split for validation. Default: the last tenth of the training split.
      test: Split for testing.
      **options: Further arguments of `load`.

    Raises:
      UserError: There is no such dataset or split.

    Example:
      >>> [len(split["label"]) for split in load_splits("digits")]
      [1293, 144, 360]
    """
    return Splits(*(load(name, part, **options) for part in (train, validation, test)))


def encode_splits(splits: Splits, preprocessing: Preprocessing) -> Splits:
    """Encodes the inputs of all splits, such as by standardising them.

    Args:
      splits: Arrays by name, in the units of the data.
      preprocessing: Preprocessing of the inputs; see `encoder`.

    Returns:
      The splits with encoded inputs; other arrays stay as they are.

    Raises:
      UserError: The inputs of a split do not have the right shape, dtype and range.

    Example:
      >>> from fdl.data.preprocessing import features
      >>> splits = load_splits("iris")
      >>> encoded = encode_splits(splits, features(splits.train["features"]))
      >>> encoded.train["features"].std(axis=0).tolist()
      [1.0, 1.0, 1.0, 1.0]
    """
    encode = encoder(preprocessing)
    return Splits(*(part and {**part, **encode(part)} for part in splits))


def binarized(splits: Splits, threshold: float, *, name: str = "image") -> Splits:
    """Binarised images: 1 where a pixel is above a threshold, and 0 elsewhere.

    They suit a Bernoulli likelihood, whose bounds are comparable only between models
    of images that were binarised alike.

    Args:
      splits: Arrays by name, in the units of the data.
      threshold: Threshold, in the same units.
      name: Name of the images, int or float [N, ...].

    Returns:
      The splits with images uint8 [N, ...], 0 or 1; other arrays stay as they are.

    Raises:
      UserError: There are no such images.

    Example:
      >>> splits = binarized(load_splits("digits"), threshold=8)
      >>> splits.train["image"].dtype, int(splits.train["image"].max())
      (dtype('uint8'), 1)
    """
    return _mapped(splits, name, lambda x: (x > threshold).astype(np.uint8))


def centred(splits: Splits, *, white: float, name: str = "image") -> Splits:
    """Centred images: pixels from 0 to 1 minus the mean training image.

    So principal component analysis takes them. Otherwise the mean is by far the largest
    of all directions, and a linear autoencoder takes long to find the others.

    Args:
      splits: Arrays by name, in the units of the data.
      white: Value of a white pixel in the data.
      name: Name of the images, int or float [N, ...].

    Returns:
      The splits with images float32 [N, ...]; other arrays stay as they are.

    Raises:
      UserError: There are no such images.

    Example:
      >>> splits = centred(load_splits("digits"), white=16)
      >>> bool(abs(splits.train["image"].mean(axis=0)).max() < 1e-6)
      True
    """
    _check_name(splits, name)
    mean = splits.train[name].mean(axis=0)
    return _mapped(splits, name, lambda x: ((x - mean) / white).astype(np.float32))


def _mapped(splits: Splits, name: str, function: Callable) -> Splits:
    """Splits with a function of the arrays of a name in place of them."""
    _check_name(splits, name)
    return Splits(*(part and {**part, name: function(part[name])} for part in splits))


def _check_name(splits: Splits, name: str) -> None:
    """Raises `UserError` unless all splits that there are have an array of a name."""
    for part in splits:
        if part is not None and name not in part:
            raise UserError(f"name={name!r}: expected an array. {near(name, part)}")
