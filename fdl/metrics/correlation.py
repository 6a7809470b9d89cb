"""How well choices and labels go together, whatever the sizes of the classes."""

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
    """The mean recall of the classes that there are, (1/C) Σ TPₖ / (TPₖ + FNₖ).

    Args:
      logits: Float [B, ..., C]: the largest is chosen. Or float [B], the logit of
        class 1 of two, chosen if it is not negative; or class indices, int [B, ...].
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      num_classes: Needed if `logits` are class indices.

    Returns:
      The metric; its ``per_class()`` has the recalls.

    References:
      Brodersen et al., `The Balanced Accuracy and Its Posterior Distribution
      <https://doi.org/10.1109/ICPR.2010.764>`_, 2010.
    """
    return recall(
        logits, labels, mask, zero_division=float("nan"), num_classes=num_classes
    )


class MatthewsCorrelation(NamedTuple):
    """The correlation of choices and labels.

    Attributes:
      counts: Of each class, [C].
    """

    counts: ClassCounts

    def compute(self) -> Array:
        """The correlation, float32 []; 0 if all choices or all labels are the same."""
        hits, predicted, actual = self.counts
        total = jax.tree.map(lambda x: x[..., None], actual.sum())
        others, rest = total.minus(predicted), total.minus(actual)
        false_alarms, missed = predicted.minus(hits), actual.minus(hits)
        # Counts are subtracted, not shares: those are rounded, and would lose digits.
        neither = rest.minus(false_alarms)

        def products(a, b, c, d):
            """Σ ab − cd, of shares."""
            a, b, c, d = (x.value() / total.value() for x in (a, b, c, d))
            return (a * b - c * d).sum(axis=-1)

        nothing = jax.tree.map(jnp.zeros_like, hits)
        covariance = products(hits, neither, false_alarms, missed)
        variances = products(predicted, others, nothing, nothing) * products(
            actual, rest, nothing, nothing
        )
        return divide(covariance, jnp.sqrt(variances), undefined=0.0)


def matthews_correlation(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    num_classes: int | None = None,
) -> MatthewsCorrelation:
    """Matthews' correlation coefficient, Gorodkin's R of C classes.

    cov(ŷ, y) / √(cov(ŷ, ŷ) cov(y, y)), where cov adds up the covariances of the
    indicators of the classes; of two classes,
    (TP TN − FP FN) / √((TP + FP) (TP + FN) (TN + FP) (TN + FN)).

    Args:
      logits: Float [B, ..., C]: the largest is chosen. Or float [B], the logit of
        class 1 of two, chosen if it is not negative; or class indices, int [B, ...].
      labels: Class indices, int [B, ...].
      mask: Weights, [B, ...].
      num_classes: Needed if `logits` are class indices.

    Example:
      >>> chosen, true = jnp.array([1, 0, 1, 1]), jnp.array([1, 1, 1, 0])
      >>> matthews_correlation(chosen, true, num_classes=2).compute()
      Array(-0.333, dtype=float32)

    References:
      Gorodkin, `Comparing two K-category assignments by a K-category correlation
      coefficient <https://doi.org/10.1016/j.compbiolchem.2004.09.006>`_, 2004.
    """
    return MatthewsCorrelation(class_counts(logits, labels, mask, num_classes))
