"""Standardisation of features to zero mean and unit standard deviation."""

import numpy as np

from fdl.errors import UserError, near

Arrays = dict[str, np.ndarray]


def standardize(train: Arrays, *others: Arrays, name: str = "features") -> list[Arrays]:
    """Standardises a feature by the mean and standard deviation of the training data.

    A feature that is constant in the training data is only shifted.

    Args:
      train: Arrays by name, from whose ``name``, float [N, ...], the statistics are
        computed.
      *others: Further arrays to standardise by the same statistics.
      name: Name of the feature.

    Returns:
      All of them with ``name`` replaced, float32; the arguments are not changed.

    Raises:
      UserError: There is no such feature, or it is not finite.

    Example:
      >>> train = {"features": np.array([[1.0], [3.0]])}
      >>> test = {"features": np.array([[4.0]])}
      >>> standardize(train, test)[1]["features"]
      array([[2.]], dtype=float32)
    """
    for arrays in (train, *others):
        if name not in arrays:
            raise UserError(f"name={name!r}: expected an array. {near(name, arrays)}")
    reference = np.asarray(train[name], np.float64)
    if not np.isfinite(reference).all():
        raise UserError(f"{name!r}: expected finite numbers, got some that are not")
    mean, std = mean_and_std(reference)

    def apply(arrays: Arrays) -> Arrays:
        return {**arrays, name: ((arrays[name] - mean) / std).astype(np.float32)}

    return [apply(arrays) for arrays in (train, *others)]


def mean_and_std(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation over examples, to standardise by.

    Missing values count as the mean. A constant feature has a deviation of 1, so that
    it is only shifted; one without any value has the mean 0.

    Args:
      values: Float64 [N, ...], NaN where a value is missing.

    Returns:
      Both float64 [...].

    Example:
      >>> mean_and_std(np.array([[1.0, 5.0], [3.0, 5.0], [np.nan, 5.0]]))
      (array([2., 5.]), array([0.81649658, 1.        ]))
    """
    missing = np.isnan(values)
    count = (~missing).sum(axis=0)
    low = np.min(values, axis=0, where=~missing, initial=np.inf)
    high = np.max(values, axis=0, where=~missing, initial=-np.inf)
    total = np.where(missing, 0, values).sum(axis=0)
    # The mean of a constant feature may be off by a rounding error, and its standard
    # deviation then tiny but not 0, by which values would be divided.
    constant = low >= high
    mean = np.where(constant, low, total / np.maximum(count, 1))
    mean = np.where(count == 0, 0, mean)
    std = np.where(missing, mean, values).std(axis=0)
    return mean, np.where(constant, 1, std)
