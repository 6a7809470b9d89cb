"""Confidence interval of a mean over seeds (Student's t)."""

from typing import Any

import numpy as np


def interval(values: Any) -> tuple[float, float, float]:
    """Mean, standard error, and half-width of the 95 % confidence interval over seeds.

    The interval is that of Student's t distribution.

    Args:
      values: One value per seed, float [S].

    Returns:
      Three floats; the last two are NaN for a single seed, all three for none.
    """
    values = np.asarray(values, np.float64)
    if values.size < 2:
        return float(values.sum() if values.size else "nan"), float("nan"), float("nan")
    # Quantiles from `scipy.special`, since `scipy.stats` takes a second to import.
    # Imported late: training waits for no statistics.
    from scipy.special import stdtrit

    error = float(values.std(ddof=1) / np.sqrt(values.size))
    return (
        float(values.mean()),
        error,
        float(stdtrit(values.size - 1, 0.975)) * error,
    )
