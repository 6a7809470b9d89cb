"""Small data sets that come with scikit-learn.

The split of each is fixed: shuffled with ``random_state=0``, and stratified for
classification.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from fdl.data.datasets.dataset import Dataset, Splits
from fdl.data.tabular.sklearn_tables import sklearn_table


def _train_test_split(arrays: Mapping[str, np.ndarray], **options) -> Splits:
    """Splits arrays into train and test, with scikit-learn."""
    # Imported late: scikit-learn takes seconds.
    from sklearn.model_selection import train_test_split

    parts = train_test_split(*arrays.values(), random_state=0, **options)
    return {
        "train": dict(zip(arrays, parts[::2], strict=True)),
        "test": dict(zip(arrays, parts[1::2], strict=True)),
    }


def _classification(name: str) -> Callable[[Mapping[str, Path]], Splits]:
    """Reader of a classification table: features float32 [N, F], label int64 [N]."""

    def read(paths: Mapping[str, Path]) -> Splits:
        del paths  # Scikit-learn has the data itself.
        table = sklearn_table(name)
        features, label = table.data.astype(np.float32), table.target.astype(np.int64)
        arrays = {"features": features, "label": label}
        return _train_test_split(arrays, test_size=0.25, stratify=label)

    return read


def _digits(paths: Mapping[str, Path]) -> Splits:
    """Reader of digits: image uint8 [N, 8, 8, 1] in 0 to 16, label int64 [N]."""
    del paths  # Scikit-learn has the data itself.
    # Imported late: scikit-learn takes seconds.
    from sklearn.datasets import load_digits

    table = load_digits()
    image, label = table.images[..., None].astype(np.uint8), table.target
    arrays = {"image": image, "label": label.astype(np.int64)}
    return _train_test_split(arrays, test_size=360, stratify=label)


def _diabetes(paths: Mapping[str, Path]) -> Splits:
    """Reader of diabetes: features float32 [N, 10] unscaled, target float32 [N]."""
    del paths  # Scikit-learn has the data itself.
    table = sklearn_table("diabetes")
    arrays = {
        "features": table.data.astype(np.float32),
        "target": table.target.astype(np.float32),
    }
    return _train_test_split(arrays, test_size=142)


digits = Dataset(
    description="1,797 handwritten digits of 8x8 pixels in 17 shades.",
    homepage="https://doi.org/10.24432/C50P49",
    read=_digits,
    num_classes={"label": 10},
)

iris = Dataset(
    description="150 irises of three species, by 4 lengths of their leaves.",
    homepage="https://doi.org/10.24432/C56C76",
    read=_classification("iris"),
    num_classes={"label": 3},
)

wine = Dataset(
    description="178 wines of three growers, by 13 chemical measurements.",
    homepage="https://doi.org/10.24432/C5PC7J",
    read=_classification("wine"),
    num_classes={"label": 3},
)

breast_cancer = Dataset(
    description="569 tumours, malignant (0) or benign (1), by 30 measurements.",
    homepage="https://doi.org/10.24432/C5DW2B",
    read=_classification("breast_cancer"),
    num_classes={"label": 2},
)

diabetes = Dataset(
    description="How diabetes advanced in a year, in 442 patients, by 10 measurements.",
    homepage="https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
    read=_diabetes,
)
