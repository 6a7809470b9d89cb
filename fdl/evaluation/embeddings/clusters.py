"""Clusters of embeddings, compared with classes that clustering does not see."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fdl.errors import UserError, check_positive


def purity(labels: Any, clusters: Any) -> float:
    """Purity of clusters, 1/N Σₖ maxⱼ |clusterₖ ∩ classⱼ|.

    It is the accuracy if each cluster predicts its most frequent class. More clusters
    are purer: those of a single example have a purity of one.

    Args:
      labels: Classes, int [N].
      clusters: Clusters, int [N].

    Raises:
      UserError: The shapes are not [N].

    Example:
      >>> purity([0, 0, 1, 1, 1], [5, 5, 5, 7, 7])
      0.8

    References:
      Manning, Raghavan and Schütze, `Introduction to Information Retrieval, section
      16.3 <https://nlp.stanford.edu/IR-book/>`_, 2008.
    """
    labels, clusters = _checked(labels, clusters)
    _, rows = np.unique(clusters, return_inverse=True)
    _, columns = np.unique(labels, return_inverse=True)
    counts = np.zeros((rows.max() + 1, columns.max() + 1), np.int64)
    np.add.at(counts, (rows, columns), 1)
    return float(counts.max(axis=1).sum() / len(labels))


def cluster_scores(labels: Any, clusters: Any) -> Mapping[str, float]:
    """Agreement of clusters with classes: ``nmi``, ``ari`` and ``purity``.

    These are the normalised mutual information (of arithmetic mean), the adjusted Rand
    index, both scikit-learn's, and `purity`. Names of clusters do not matter.

    Args:
      labels: Classes, int [N].
      clusters: Clusters, int [N].

    Raises:
      UserError: The shapes are not [N].

    Example:
      >>> cluster_scores([0, 0, 1, 1], [7, 7, 3, 3])
      {'nmi': 1.0, 'ari': 1.0, 'purity': 1.0}
    """
    # Imported late: scikit-learn takes seconds.
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    labels, clusters = _checked(labels, clusters)
    return {
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "ari": float(adjusted_rand_score(labels, clusters)),
        "purity": purity(labels, clusters),
    }


def k_means_scores(
    train: Any,
    train_labels: Any,
    embeddings: Any,
    labels: Any,
    *,
    num_clusters: int,
    num_starts: int = 10,
    seed: int = 0,
) -> Mapping[str, float]:
    """`cluster_scores` of k-means, fitted to training embeddings without their labels.

    A held-out embedding belongs to the cluster of the nearest mean.

    Args:
      train: Embeddings of the training examples, [N, ...].
      train_labels: Their classes, which are not used.
      embeddings: Held-out embeddings, [M, ...].
      labels: Their classes, int [M], to compare the clusters with.
      num_clusters: Number of clusters.
      num_starts: Number of starts, of which the one of the least inertia is taken.
      seed: Seed of the starts.

    References:
      Arthur and Vassilvitskii, `k-means++: The Advantages of Careful Seeding
      <https://dl.acm.org/doi/10.5555/1283383.1283494>`_, 2007.
    """
    # Imported late: scikit-learn takes seconds.
    from sklearn.cluster import KMeans

    del train_labels  # Clustering is unsupervised.
    train, embeddings = (
        np.asarray(x, np.float64).reshape(len(x), -1) for x in (train, embeddings)
    )
    check_positive(num_clusters=num_clusters)
    if num_clusters > len(train):
        raise UserError(
            f"num_clusters={num_clusters}: expected at most the {len(train)} examples"
        )
    k_means = KMeans(num_clusters, n_init=num_starts, random_state=seed).fit(train)
    return cluster_scores(labels, k_means.predict(embeddings))


def _checked(labels: Any, clusters: Any) -> tuple[np.ndarray, np.ndarray]:
    labels, clusters = np.asarray(labels), np.asarray(clusters)
    if labels.ndim != 1 or labels.shape != clusters.shape or not labels.size:
        raise UserError(
            f"labels of shape {[*labels.shape]}, clusters of shape "
            f"{[*clusters.shape]}: expected both [N]"
        )
    return labels, clusters
