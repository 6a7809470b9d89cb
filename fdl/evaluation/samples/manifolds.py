"""Precision and recall of samples, and their nearest training examples."""

from typing import Any, NamedTuple

import numpy as np

from fdl.errors import check_positive
from fdl.evaluation.samples.points import squared_distances, two_samples

ROWS = 1024  # Rows of distances that are computed at once.


class SampleQuality(NamedTuple):
    """Precision and recall of samples; see `sample_precision_recall`.

    Attributes:
      precision: Share of samples that lie on the manifold of real points: fidelity.
      recall: Share of real points that lie on the manifold of samples: diversity.
    """

    precision: float
    recall: float


def sample_precision_recall(real: Any, samples: Any, *, k: int = 3) -> SampleQuality:
    """Improved precision and recall of samples, by manifolds of nearest neighbours.

    The manifold of a set of points is the union of balls around each of them, whose
    radius is the distance to its k-th nearest neighbour in the set. Real points against
    real points reach less than one: compare with that, and with as many points.

    Args:
      real: Real points, or features of them, [N, ...].
      samples: Generated points, or features of them, [M, ...].
      k: Number of neighbours, less than N and M.

    Raises:
      UserError: The shapes differ, or there are too few points.

    Example:
      >>> real, samples = [[0.0], [1.0], [2.0], [9.0]], [[0.5], [1.5], [0.8]]
      >>> tuple(sample_precision_recall(real, samples, k=1))
      (1.0, 0.5)

    References:
      Kynkäänniemi et al., `Improved Precision and Recall Metric for Assessing
      Generative Models <https://arxiv.org/abs/1904.06991>`_, 2019.
    """
    check_positive(k=k)
    real, samples = two_samples(real, samples, at_least=k + 1)
    precision = _share_within(samples, real, _squared_radii(real, k))
    recall = _share_within(real, samples, _squared_radii(samples, k))
    return SampleQuality(precision, recall)


class Nearest(NamedTuple):
    """Nearest training example of each sample; see `nearest_examples`.

    Attributes:
      distances: Euclidean distances, float64 [M].
      indices: Indices of the training examples, int [M].
    """

    distances: np.ndarray
    indices: np.ndarray


def nearest_examples(samples: Any, train: Any) -> Nearest:
    """Nearest training example of each sample, to see copies.

    Distances to be compared with are those of real test examples: samples that are much
    closer to the training examples are copies of them.

    Args:
      samples: Samples, [M, ...].
      train: Training examples of the same shape, [N, ...].

    Raises:
      UserError: There are no points, or their shapes differ.

    Example:
      >>> nearest_examples([[0.0, 3.0]], [[5.0, 5.0], [4.0, 0.0]])
      Nearest(distances=array([5.]), indices=array([1]))
    """
    samples, train = two_samples(samples, train)
    found = []
    for start in range(0, len(samples), ROWS):
        squared = squared_distances(samples[start : start + ROWS], train)
        indices = squared.argmin(axis=1)
        found.append((squared[np.arange(len(indices)), indices], indices))
    squared, indices = map(np.concatenate, zip(*found, strict=True))
    return Nearest(np.sqrt(squared), indices)


def _squared_radii(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance of each point to its k-th nearest other point, float64 [N]."""
    parts = [
        # The nearest of all is the point itself.
        np.partition(squared_distances(points[i : i + ROWS], points), k, axis=1)[:, k]
        for i in range(0, len(points), ROWS)
    ]
    return np.concatenate(parts)


def _share_within(points, centres, squared_radii) -> float:
    """Share of points that lie in a ball around any of the centres."""
    inside = [
        (squared_distances(points[i : i + ROWS], centres) <= squared_radii).any(axis=1)
        for i in range(0, len(points), ROWS)
    ]
    return float(np.concatenate(inside).mean())
