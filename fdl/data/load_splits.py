"""Training, validation and test split of a dataset."""

from typing import Any, NamedTuple

from fdl.data.loading import load


class Splits(NamedTuple):
    """Sources of examples: arrays by name, or sequences of examples.

    Attributes:
      train: Training examples.
      validation: Examples to choose hyperparameters and checkpoints by.
      test: Examples for the result, measured once.
    """

    train: Any
    validation: Any
    test: Any


def load_splits(name: str, *, validation: str = "10%", **options: Any) -> Splits:
    """Loads training, validation and test split of a dataset.

    Args:
      name: Name of the dataset; see `load`.
      validation: Share of the training split that is held out, its last examples; or
        the name of a split, where the dataset has one for validation.
      **options: Further arguments of `load`.

    Raises:
      UserError: There is no such dataset or split.

    Example:
      >>> train, validation, test = load_splits("digits")
      >>> [len(split["label"]) for split in (train, validation, test)]
      [1293, 144, 360]
    """
    if validation.endswith("%"):
        parts = f"train[:-{validation}]", f"train[-{validation}:]", "test"
    else:
        parts = "train", validation, "test"
    return Splits(*(load(name, part, **options) for part in parts))
