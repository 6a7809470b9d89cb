"""Probes: simple classifiers of frozen embeddings."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.metrics import accuracy, bootstrap
from fdl.metrics.t_interval import MeanInterval, interval

# ``probe(train, train_labels, embeddings, labels)``, which classes are right, bool [N].
Probe = Callable[[Any, Any, Any, Any], np.ndarray]


def linear_probe(
    train: Any, train_labels: Any, embeddings: Any, labels: Any, *, l2: float = 1.0
) -> np.ndarray:
    """Linear probe: logistic regression of embeddings, fitted by L-BFGS.

    Embeddings are standardised by the training ones. The held-out ones are not seen
    while fitting.

    Args:
      train: Embeddings of the training examples, [N, ...].
      train_labels: Their classes, int [N].
      embeddings: Held-out embeddings, [M, ...].
      labels: Their classes, int [M].
      l2: Coefficient of ½ ‖w‖² beside the sum of the cross-entropies.

    Returns:
      True where the class is right, bool [M]; its mean is the accuracy.

    Raises:
      UserError: The shapes do not match, or all training examples are of one class.

    References:
      Alain and Bengio, `Understanding Intermediate Layers Using Linear Classifier
      Probes <https://arxiv.org/abs/1610.01644>`_, 2016.
    """
    # Imported late: scikit-learn takes seconds.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not l2 > 0:
        raise UserError(f"l2={l2}: expected a positive number")
    classifier = LogisticRegression(C=1 / l2, solver="lbfgs", max_iter=5000)
    pipeline = make_pipeline(StandardScaler(), classifier)
    return _right(pipeline, train, train_labels, embeddings, labels)


def knn_probe(
    train: Any, train_labels: Any, embeddings: Any, labels: Any, *, k: int = 5
) -> np.ndarray:
    """k-nearest-neighbour probe: the most frequent class of the k nearest embeddings.

    Args:
      train: Embeddings of the training examples, [N, ...], with N of at least k.
      train_labels: Their classes, int [N].
      embeddings: Held-out embeddings, [M, ...].
      labels: Their classes, int [M].
      k: Number of neighbours.

    Returns:
      True where the class is right, bool [M]; its mean is the accuracy.

    Raises:
      UserError: The shapes do not match, or there are fewer than k training examples.

    Example:
      >>> knn_probe([[0.0], [1.0]], [3, 5], [[0.4], [0.9]], [3, 3], k=1)
      array([ True, False])
    """
    # Imported late: scikit-learn takes seconds.
    from sklearn.neighbors import KNeighborsClassifier

    if not 1 <= k <= len(train):
        raise UserError(f"k={k}: expected 1 to {len(train)}, the number of examples")
    return _right(KNeighborsClassifier(k), train, train_labels, embeddings, labels)


def probe_interval(right: np.ndarray, **options: Any) -> bootstrap.Interval:
    """Accuracy of a probe with its bootstrap confidence interval over test examples.

    Args:
      right: True where the class is right, bool [M], as of a probe.
      **options: Further arguments of `fdl.metrics.bootstrap.interval`.
    """
    shares = jnp.asarray(right, jnp.int32)
    return bootstrap.interval(accuracy, shares, jnp.ones_like(shares), **options)


def label_curve(
    probe: Probe,
    train: Any,
    train_labels: Any,
    embeddings: Any,
    labels: Any,
    *,
    per_class: Sequence[int] = (1, 3, 10, 30),
    num_draws: int = 5,
    seed: int = 0,
) -> Mapping[int, MeanInterval]:
    """Accuracy of a probe against the number of labels that it is fitted to.

    Each draw takes as many training examples of each class, without replacement; the
    interval is over draws.

    Args:
      probe: Probe, such as `linear_probe` or ``partial(knn_probe, k=1)``.
      train: Embeddings of the training examples, [N, ...].
      train_labels: Their classes, int [N].
      embeddings: Held-out embeddings, [M, ...].
      labels: Their classes, int [M].
      per_class: Numbers of labels of each class.
      num_draws: Number of draws.
      seed: Seed of the draws.

    Returns:
      Mean accuracy with its 95 % interval, by the number of labels of each class.

    Raises:
      UserError: A class has fewer examples.
    """
    train, train_labels = np.asarray(train), np.asarray(train_labels)
    classes, counts = np.unique(train_labels, return_counts=True)
    if max(per_class) > counts.min():
        least = classes[counts.argmin()]
        raise UserError(
            f"per_class={[*per_class]}: expected at most {counts.min()}, the number of "
            f"examples of class {least}"
        )
    random = np.random.default_rng(seed)
    curve = {}
    for size in per_class:
        accuracies = []
        for _ in range(num_draws):
            chosen = np.concatenate(
                [
                    random.choice(np.flatnonzero(train_labels == c), size, False)
                    for c in classes
                ]
            )
            right = probe(train[chosen], train_labels[chosen], embeddings, labels)
            accuracies.append(right.mean())
        curve[size] = interval(accuracies, "accuracy")
    return curve


def _right(estimator, train, train_labels, embeddings, labels) -> np.ndarray:
    """True where an estimator, fitted to the training embeddings, is right."""
    train, embeddings = np.asarray(train), np.asarray(embeddings)
    train_labels, labels = np.asarray(train_labels), np.asarray(labels)
    for name, x, y in (
        ("training", train, train_labels),
        ("held-out", embeddings, labels),
    ):
        if y.ndim != 1 or len(x) != len(y) or x.shape[1:] != train.shape[1:]:
            raise UserError(
                f"{name} embeddings of shape {[*x.shape]}, labels of shape "
                f"{[*y.shape]}: expected [N, ...] and [N]"
            )
    if len(np.unique(train_labels)) < 2:
        raise UserError("training labels: expected at least two classes")
    estimator.fit(train.reshape(len(train), -1), train_labels)
    return estimator.predict(embeddings.reshape(len(embeddings), -1)) == labels
