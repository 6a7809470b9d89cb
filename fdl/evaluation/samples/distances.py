"""Distances between two samples of points."""

from typing import Any

import numpy as np

from fdl.evaluation.samples.points import two_samples

ROWS = 256  # Rows of distances that are computed at once.


def energy_distance(x: Any, y: Any) -> float:
    """Energy distance, 2 E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖, in units of the data.

    It is zero for equal distributions only. It is computed as the V-statistic, with
    the pairs of a point and itself: never negative, but between two samples of one
    distribution about E‖X − X'‖ (1 / N + 1 / M). Put it beside that floor, the distance
    of real data to real data.

    Args:
      x: Points, [N, ...].
      y: Points of the same shape, [M, ...].

    Raises:
      UserError: There are no points, their shapes differ, or they are not finite.

    Example:
      >>> energy_distance([[0.0], [2.0]], [[1.0], [1.0]])  # 2 · 1 − 1 − 0
      1.0

    References:
      Székely and Rizzo, `Energy statistics: A class of statistics based on distances
      <https://doi.org/10.1016/j.jspi.2013.03.018>`_, 2013.
    """
    x, y = two_samples(x, y)
    within = _mean_distance(x, x) + _mean_distance(y, y)
    return 2 * _mean_distance(x, y) - within


def _mean_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Mean of ‖x − y‖ over all pairs."""
    total = 0.0
    for start in range(0, len(x), ROWS):
        # Differences, not |x|² + |y|² − 2 x·y, which is inexact for points nearby.
        differences = x[start : start + ROWS, None] - y[None]
        total += np.sqrt(np.square(differences).sum(axis=-1)).sum()
    return float(total / (len(x) * len(y)))
