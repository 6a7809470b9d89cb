"""ROC AUC and average precision, from mergeable histograms."""

import dataclasses

import jax
import jax.numpy as jnp

from fdl.metrics.class_averaging import divide
from fdl.metrics.one_vs_rest import average_problems
from fdl.metrics.score_histograms import Histograms, histograms
from fdl.types import Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RocAuc:
    """Area under the receiver operating characteristic (ROC) curve.

    Attributes:
      histograms: Histograms of the scores of each class.
      average: Average over the classes.
    """

    histograms: Histograms
    average: str = dataclasses.field(metadata={"static": True})

    def curve(self) -> tuple[Array, Array]:
        """False and true positive rate at each threshold, float32 [K, M + 1]."""
        hits, false_positives = self.histograms.above()
        return false_positives / false_positives[..., -1:], hits / hits[..., -1:]

    def per_class(self) -> Array:
        """Area of each class, float32 [K]; NaN without positives or negatives."""
        # The trapezoidal rule counts pairs of equal bins half, as ties.
        x, y = self.curve()
        return (jnp.diff(x) * (y[..., 1:] + y[..., :-1])).sum(axis=-1) / 2

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bound of the exact area of each class, two float32 [K]."""
        # Within a bin, either all positives or all negatives may score higher.
        x, y = self.curve()
        error = (jnp.diff(x) * jnp.diff(y)).sum(axis=-1) / 2
        return self.per_class() - error, self.per_class() + error

    def compute(self) -> Array:
        """Average of the areas over the classes, float32 []."""
        support = self.histograms.support()
        return average_problems(self.per_class(), support, self.average)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AveragePrecision:
    """Average precision, the area under the precision-recall curve.

    Attributes:
      histograms: Histograms of the scores of each class.
      average: Average over the classes.
    """

    histograms: Histograms
    average: str = dataclasses.field(metadata={"static": True})

    def curve(self) -> tuple[Array, Array]:
        """Recall and precision at each threshold, float32 [K, M + 1].

        Precision is 1 at thresholds above all scores.
        """
        hits, false_positives = self.histograms.above()
        recall = divide(hits, jnp.broadcast_to(hits[..., -1:], hits.shape), 0.0)
        return recall, divide(hits, hits + false_positives, 1.0)

    def per_class(self) -> Array:
        """Average precision of each class, float32 [K]; 0 without positives."""
        hits, false_positives = (x[..., 1:] for x in self.histograms.above())
        return self._mean(divide(hits, hits + false_positives, 0.0))

    def bounds(self) -> tuple[Array, Array]:
        """Lower and upper bound of the exact value of each class, two float32 [K].

        In each bin, the negatives may all come first or all come last: there are n
        false positives above the bin and n′ including it. For the true positives t to
        t + p of the bin, the mean precision is at least
        ∫₀ᵖ (t + x) / (t + x + n′) dx / p and at most (t + p) / (t + p + n).
        """
        hits, false_positives = self.histograms.above()
        hits_before, negatives_up_to = hits[..., :-1], false_positives[..., 1:]
        # Curves start at the highest score, histograms at the lowest.
        positives = self.histograms.positives.value()[..., ::-1]
        # The integral is p − n′ log(1 + p / (t + n′)).
        loss = negatives_up_to * jnp.log1p(
            divide(positives, hits_before + negatives_up_to, 0.0)
        )
        lower = divide(positives - loss, positives, 0.0)
        upper = divide(hits[..., 1:], hits[..., 1:] + false_positives[..., :-1], 0.0)
        return self._mean(lower), self._mean(upper)

    def compute(self) -> Array:
        """Average over the classes, float32 []."""
        support = self.histograms.support()
        return average_problems(self.per_class(), support, self.average)

    def _mean(self, precision):
        """Mean over the positives of the precision of each bin, highest bin first."""
        positives = self.histograms.positives.value()[..., ::-1]
        total = self.histograms.support()
        average = divide((positives * precision).sum(axis=-1), total, 0.0)
        # Without positives the value is 0, but without any examples it is undefined.
        empty = total + self.histograms.negatives.sum().value() == 0
        return jnp.where(empty, jnp.nan, average)


def roc_auc(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    average: str = "macro",
    num_bins: int = 4096,
) -> RocAuc:
    """Area under the ROC curve, P(s⁺ > s⁻) + ½ P(s⁺ = s⁻), from histograms of scores.

    It is the probability that a positive has a higher score than a negative, here
    Σₘ pₘ (N₍<m₎ + ½ nₘ) / (P N) with pₘ positives and nₘ negatives in bin m, P and N in
    total. Sums over batches cannot be exact, as all pairs of scores are compared; the
    error is at most ½ Σₘ pₘ nₘ / (P N), which ``bounds()`` evaluates.
    `fdl.metrics.exact.roc_auc` is exact, but takes all scores at once.

    Args:
      logits: Logits of the classes, float [B, ..., C], for each class against the rest.
        Or the logit of class 1 of two, float [B]; or logits of L labels, float
        [B, ..., L].
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", the mean over classes, NaN if one has only positives or
        negatives; "weighted", the mean weighted by positives, without classes that have
        none; "binary", class 1 of two.
      num_bins: Number M of bins, of equal width in asinh(logit) up to ±10⁴. They are
        meant for logits: probabilities would all fall into a few of them.

    Returns:
      The metric, with ``per_class()``, ``bounds()`` and ``curve()``.

    Raises:
      UserError: The shapes do not match, or the average does not apply to them.

    Example:
      >>> logits = jnp.array([-2.2, 2.2, -0.4, -0.6, 1.4, 0.0, 0.0, 0.0])
      >>> roc_auc(logits, jnp.array([0, 1, 1, 0, 1, 0, 0, 1])).compute()
      Array(0.8125, dtype=float32)

    References:
      Fawcett, `An introduction to ROC analysis
      <https://doi.org/10.1016/j.patrec.2005.10.010>`_, 2006.
    """
    return RocAuc(histograms(logits, labels, mask, average, num_bins), average)


def average_precision(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    average: str = "macro",
    num_bins: int = 4096,
) -> AveragePrecision:
    """Average precision, Σₘ (Rₘ − Rₘ₋₁) Pₘ, from histograms of scores.

    Rₘ and Pₘ are recall and precision of the examples in bin m or above, the highest
    bin first. Linear interpolation between these points would be too optimistic.
    ``bounds()`` returns the interval that contains the exact value;
    `fdl.metrics.exact.average_precision` is exact, but takes all scores at once.

    Args:
      logits: Logits, as in `roc_auc`.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted" or "binary". A class without positives has 0.
      num_bins: Number of bins; see `roc_auc`.

    Returns:
      The metric, with ``per_class()``, ``bounds()`` and ``curve()``.

    Raises:
      UserError: The shapes do not match, or the average does not apply to them.

    References:
      Davis and Goadrich, `The Relationship Between Precision-Recall and ROC Curves
      <https://doi.org/10.1145/1143844.1143874>`_, 2006.
    """
    return AveragePrecision(
        histograms(logits, labels, mask, average, num_bins), average
    )
