"""Points of two samples, and the distances between them."""

from typing import Any

import numpy as np

from fdl.errors import UserError


def two_samples(x: Any, y: Any, *, at_least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Two samples as points, float64 [N, D] and [M, D].

    Args:
      x: Points, [N, ...].
      y: Points of the same shape, [M, ...].
      at_least: Least number of points of each.

    Raises:
      UserError: There are fewer points, their shapes differ, or they are not finite.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    shapes = f"points of shape {[*x.shape]} and {[*y.shape]}"
    if x.ndim < 2 or x.shape[1:] != y.shape[1:] or not x.size * y.size:
        raise UserError(
            f"{shapes}: expected points of one shape, [N, ...] and [M, ...]"
        )
    if min(len(x), len(y)) < at_least:
        raise UserError(f"{shapes}: expected at least {at_least} of each")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UserError(f"{shapes}: expected finite numbers")
    return x.reshape(len(x), -1), y.reshape(len(y), -1)


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances of all pairs, float64 [N, M].

    Args:
      x: Points, float64 [N, D].
      y: Points, float64 [M, D].
    """
    # Imported late: SciPy takes a second.
    from scipy.spatial.distance import cdist

    # Of differences, not |x|² + |y|² − 2 x·y, which is inexact for points nearby.
    return cdist(x, y, "sqeuclidean")
