"""Mean and standard deviation of features."""

import sys
from typing import Any

import numpy as np


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
    # Of differences below 1e-162, the squares are 0.
    std = np.where(std == 0, high - low, std)
    return mean, np.where(constant, 1, std)


def is_finite(value: Any) -> bool:
    """True if a value is a finite integer or float, and no boolean.

    Example:
      >>> is_finite(1), is_finite(float("nan")), is_finite(10**400), is_finite("1")
      (True, False, False, False)
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max
