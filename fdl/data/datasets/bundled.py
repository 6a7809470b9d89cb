"""Small data sets that come with scikit-learn.

All are divided once and for all: shuffled with ``random_state=0``, and in
classification each class in proportion.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from fdl.data.datasets.dataset import Dataset, Splits


def _divide(arrays: Mapping[str, np.ndarray], **options) -> Splits:
    """Divides arrays into train and test, as scikit-learn does."""
    from sklearn.model_selection import train_test_split

    parts = train_test_split(*arrays.values(), random_state=0, **options)
    return {
        "train": dict(zip(arrays, parts[::2], strict=True)),
        "test": dict(zip(arrays, parts[1::2], strict=True)),
    }


def _classes(name: str) -> Callable[[Mapping[str, Path]], Splits]:
    """Reads a table with classes: features float32 [N, F], label int64 [N]."""

    def read(paths: Mapping[str, Path]) -> Splits:
        del paths  # Scikit-learn has the data itself.
        from sklearn import datasets

        table = getattr(datasets, f"load_{name}")()
        features, label = table.data.astype(np.float32), table.target.astype(np.int64)
        arrays = {"features": features, "label": label}
        return _divide(arrays, test_size=0.25, stratify=label)

    return read


def _digits(paths: Mapping[str, Path]) -> Splits:
    """Images uint8 [N, 8, 8, 1] of 0 to 16, label int64 [N]."""
    del paths  # Scikit-learn has the data itself.
    from sklearn.datasets import load_digits

    table = load_digits()
    image, label = table.images[..., None].astype(np.uint8), table.target
    arrays = {"image": image, "label": label.astype(np.int64)}
    return _divide(arrays, test_size=360, stratify=label)


def _diabetes(paths: Mapping[str, Path]) -> Splits:
    """Features float32 [N, 10] as they were measured, target float32 [N]."""
    del paths  # Scikit-learn has the data itself.
    from sklearn.datasets import load_diabetes

    table = load_diabetes(scaled=False)
    arrays = {
        "features": table.data.astype(np.float32),
        "target": table.target.astype(np.float32),
    }
    return _divide(arrays, test_size=142)


digits = Dataset(
    description="1,797 handwritten digits of 8x8 pixels in 17 shades.",
    homepage="https://doi.org/10.24432/C50P49",
    read=_digits,
    num_classes={"label": 10},
)

iris = Dataset(
    description="150 irises of three species, by 4 lengths of their leaves.",
    homepage="https://doi.org/10.24432/C56C76",
    read=_classes("iris"),
    num_classes={"label": 3},
)

wine = Dataset(
    description="178 wines of three growers, by 13 chemical measurements.",
    homepage="https://doi.org/10.24432/C5PC7J",
    read=_classes("wine"),
    num_classes={"label": 3},
)

breast_cancer = Dataset(
    description="569 tumours, malignant (0) or benign (1), by 30 measurements.",
    homepage="https://doi.org/10.24432/C5DW2B",
    read=_classes("breast_cancer"),
    num_classes={"label": 2},
)

diabetes = Dataset(
    description="How diabetes advanced in a year, in 442 patients, by 10 measurements.",
    homepage="https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
    read=_diabetes,
)
