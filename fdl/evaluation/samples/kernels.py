"""Maximum mean discrepancy between two samples of points."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fdl.errors import UserError, check_positive
from fdl.evaluation.samples.points import squared_distances, two_samples


def mmd(x: Any, y: Any, *, bandwidth: float | None = None) -> float:
    """Maximum mean discrepancy, E k(X, X') + E k(Y, Y') − 2 E k(X, Y), squared.

    The kernel is Gaussian, k(x, y) = exp(−‖x − y‖² / 2σ²). The estimate is unbiased, a
    U-statistic without the pairs of a point and itself: between two samples of one
    distribution it is zero on average, and negative about half of the time. Put it
    beside `real_against_real`.

    Args:
      x: Points, [N, ...] with N of at least 2.
      y: Points of the same shape, [M, ...] with M of at least 2.
      bandwidth: Standard deviation σ of the kernel. Default: `median_distance` of both;
        give it to compare several samples with one kernel.

    Raises:
      UserError: There are too few points, their shapes differ, or the bandwidth is not
        positive.

    Example:
      >>> round(mmd([[0.0], [2.0]], [[1.0], [1.0]], bandwidth=1.0), 6)
      -0.077726

    References:
      Gretton et al., `A Kernel Two-Sample Test
      <https://jmlr.org/papers/v13/gretton12a.html>`_, 2012.
    """
    x, y = two_samples(x, y, at_least=2)
    sigma = median_distance(x, y) if bandwidth is None else bandwidth
    if bandwidth is None and not sigma > 0:
        raise UserError(
            "bandwidth=None: expected a number, as the median distance is 0: half of "
            "the points are equal"
        )
    if not sigma**2 > 0:
        raise UserError(f"bandwidth={sigma}: expected a positive number")

    def kernel_sum(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-squared_distances(a, b) / (2 * sigma**2)).sum())

    num_x, num_y = len(x), len(y)
    # A point has a kernel of one with itself.
    within_x = (kernel_sum(x, x) - num_x) / (num_x * (num_x - 1))
    within_y = (kernel_sum(y, y) - num_y) / (num_y * (num_y - 1))
    return within_x + within_y - 2 * kernel_sum(x, y) / (num_x * num_y)


def median_distance(x: Any, y: Any) -> float:
    """Median heuristic: median distance between two different points of both samples.

    Args:
      x: Points, [N, ...].
      y: Points of the same shape, [M, ...].

    Raises:
      UserError: There are no points, or their shapes differ.

    References:
      Gretton et al., `A Kernel Two-Sample Test
      <https://jmlr.org/papers/v13/gretton12a.html>`_, 2012, section 8.
    """
    points = np.concatenate(two_samples(x, y))
    pairs = np.triu_indices(len(points), k=1)
    return float(np.sqrt(np.median(squared_distances(points, points)[pairs])))


class Floor(NamedTuple):
    """Distance of real data to real data.

    Attributes:
      mean: Mean over the draws.
      std: Standard deviation over the draws.
      highest: Largest of the draws.
    """

    mean: float
    std: float
    highest: float


def real_against_real(
    distance: Callable[[Any, Any], float],
    real: Any,
    size: int,
    *,
    num_draws: int = 20,
    seed: int = 0,
) -> Floor:
    """Floor of a distance of samples: what it is between two halves of real data.

    Each draw takes two disjoint subsets of the same size, without replacement. A model
    whose samples are as far from real data as these is not told apart from the data by
    as many samples.

    Args:
      distance: ``distance(x, y)`` of two samples, such as `mmd` or `energy_distance`.
      real: Real points, [N, ...].
      size: Number of points of each subset, at most N / 2.
      num_draws: Number of draws.
      seed: Seed of the draws.

    Raises:
      UserError: There are fewer than twice as many points.

    Example:
      >>> real = np.random.default_rng(0).normal(size=(99, 2))
      >>> floor = real_against_real(mmd, real, 40)
      >>> abs(floor.mean) < 0.02 and floor.mean <= floor.highest
      True
    """
    real = np.asarray(real)
    if not 1 <= size <= len(real) // 2:
        raise UserError(
            f"size={size}: expected 1 to {len(real) // 2}, half of the {len(real)} "
            "real points"
        )
    check_positive(num_draws=num_draws)
    random = np.random.default_rng(seed)
    values = []
    for _ in range(num_draws):
        order = random.permutation(len(real))
        values.append(distance(real[order[:size]], real[order[size : 2 * size]]))
    return Floor(float(np.mean(values)), float(np.std(values)), float(np.max(values)))
