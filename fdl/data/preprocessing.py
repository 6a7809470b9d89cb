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
    # The mean of a constant feature may be off by a rounding error, and its standard
    # deviation then tiny but not 0, by which values would be divided.
    constant = reference.max(axis=0) == reference.min(axis=0)
    mean = np.where(constant, reference[0], reference.mean(axis=0))
    deviation = np.where(constant, 1.0, reference.std(axis=0))

    def apply(arrays: Arrays) -> Arrays:
        return {**arrays, name: ((arrays[name] - mean) / deviation).astype(np.float32)}

    return [apply(arrays) for arrays in (train, *others)]
