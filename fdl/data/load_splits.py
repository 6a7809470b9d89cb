"""Training, validation and test split of a dataset, loaded and encoded."""

from typing import Any

from fdl.data.loading import load
from fdl.data.preprocessing import Preprocessing, encoder
from fdl.data.splits import Splits


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
