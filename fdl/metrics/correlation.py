"""Balanced accuracy and Matthews correlation, for imbalanced classes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fdl.metrics.class_averaging import divide
from fdl.metrics.class_counts import ClassCounts, class_counts
from fdl.metrics.precision_recall import recall
from fdl.types import Array, Metric


def balanced_accuracy(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    num_classes: int | None = None,
) -> Metric:
    """Balanced accuracy, the mean recall of the classes, (1/C) Σ TPₖ / (TPₖ + FNₖ).

    Classes without labels are left out.

    Args:
      logits: Logits of the classes, float [B, ..., C], the largest of which is the
        prediction. Or the logit of class 1 of two, float [B], predicted if it is not
        negative; or predicted class indices, int [B, ...].
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      num_classes: Number of classes; required if `logits` are class indices.

    Returns:
      The metric; ``per_class()`` returns the recalls.

    References:
      Brodersen et al., `The Balanced Accuracy and Its Posterior Distribution
      <https://doi.org/10.1109/ICPR.2010.764>`_, 2010.
    """
    return recall(
        logits, labels, mask, zero_division=float("nan"), num_classes=num_classes
    )


class MatthewsCorrelation(NamedTuple):
    """Matthews correlation coefficient of predictions and labels.

    Attributes:
      counts: Counts of each class, [C].
    """

    counts: ClassCounts

    def compute(self) -> Array:
        """Correlation, float32 []; 0 if all predictions or all labels are the same."""
        hits, predicted, actual = self.counts
        total = jax.tree.map(lambda x: x[..., None], actual.sum())
        not_predicted, not_actual = total.minus(predicted), total.minus(actual)
        false_positives, false_negatives = predicted.minus(hits), actual.minus(hits)
        # Counts are subtracted exactly, as integers; differences of shares, which are
        # rounded, would lose digits.
        true_negatives = not_actual.minus(false_positives)

        def products(a, b, c, d):
            """Sum over the classes of ab − cd, of counts as shares of the total."""
            a, b, c, d = (x.value() / total.value() for x in (a, b, c, d))
            return (a * b - c * d).sum(axis=-1)

        zero = jax.tree.map(jnp.zeros_like, hits)
        covariance = products(hits, true_negatives, false_positives, false_negatives)
        variances = products(predicted, not_predicted, zero, zero) * products(
            actual, not_actual, zero, zero
        )
        # Of weights that are no integers, rounding may make a variance negative.
        variances = jnp.maximum(variances, 0)
        return divide(covariance, jnp.sqrt(variances), undefined=0.0)


def matthews_correlation(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    num_classes: int | None = None,
) -> MatthewsCorrelation:
    """Matthews correlation coefficient; for C classes, Gorodkin's R.

    It is cov(ŷ, y) / √(cov(ŷ, ŷ) cov(y, y)), where cov is the sum over the classes of
    the covariances of their indicators; for two classes,
    (TP TN − FP FN) / √((TP + FP) (TP + FN) (TN + FP) (TN + FN)).

    Args:
      logits: Logits of the classes, float [B, ..., C], the largest of which is the
        prediction. Or the logit of class 1 of two, float [B], predicted if it is not
        negative; or predicted class indices, int [B, ...].
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      num_classes: Number of classes; required if `logits` are class indices.

    Example:
      >>> predicted, labels = jnp.array([1, 0, 1, 1]), jnp.array([1, 1, 1, 0])
      >>> matthews_correlation(predicted, labels, num_classes=2).compute()
      Array(-0.333, dtype=float32)

    References:
      Gorodkin, `Comparing two K-category assignments by a K-category correlation
      coefficient <https://doi.org/10.1016/j.compbiolchem.2004.09.006>`_, 2004.
    """
    return MatthewsCorrelation(class_counts(logits, labels, mask, num_classes))
