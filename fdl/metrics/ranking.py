"""How well scores tell classes apart, from mergeable counts."""

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
    """The area under the receiver operating characteristic.

    Attributes:
      histograms: Of the scores of each class.
      average: How classes become one number.
    """

    histograms: Histograms
    average: str = dataclasses.field(metadata={"static": True})

    def curve(self) -> tuple[Array, Array]:
        """False and true positive rate at each threshold, float32 [K, M + 1]."""
        hits, false_alarms = self.histograms.above()
        return false_alarms / false_alarms[..., -1:], hits / hits[..., -1:]

    def per_class(self) -> Array:
        """The area of each class, float32 [K]; NaN if all or none are of the class."""
        x, y = self.curve()
        return (jnp.diff(x) * (y[..., 1:] + y[..., :-1])).sum(axis=-1) / 2

    def bounds(self) -> tuple[Array, Array]:
        """What the exact area of each class lies between, two float32 [K]."""
        x, y = self.curve()
        error = (jnp.diff(x) * jnp.diff(y)).sum(axis=-1) / 2
        return self.per_class() - error, self.per_class() + error

    def compute(self) -> Array:
        """The area of all classes together, float32 []."""
        support = self.histograms.support()
        return average_problems(self.per_class(), support, self.average)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AveragePrecision:
    """The mean precision over all recalls.

    Attributes:
      histograms: Of the scores of each class.
      average: How classes become one number.
    """

    histograms: Histograms
    average: str = dataclasses.field(metadata={"static": True})

    def curve(self) -> tuple[Array, Array]:
        """Recall and precision at each threshold, float32 [K, M + 1].

        Precision is 1 where nothing is chosen.
        """
        hits, false_alarms = self.histograms.above()
        recall = divide(hits, jnp.broadcast_to(hits[..., -1:], hits.shape), 0.0)
        return recall, divide(hits, hits + false_alarms, 1.0)

    def per_class(self) -> Array:
        """The mean precision of each class, float32 [K]; 0 without any positive."""
        hits, false_alarms = (x[..., 1:] for x in self.histograms.above())
        return self._mean(divide(hits, hits + false_alarms, 0.0))

    def bounds(self) -> tuple[Array, Array]:
        """What the exact value of each class lies between, two float32 [K].

        In each bin, all negatives come first or last: n false alarms before the bin, or
        n′ with it. Of hits t to t + p the mean precision is at least
        ∫₀ᵖ (t + x) / (t + x + n′) dx / p and at most (t + p) / (t + p + n).
        """
        hits, false_alarms = self.histograms.above()
        before, after = hits[..., :-1], false_alarms[..., 1:]
        found = self.histograms.positives.value()[..., ::-1]
        lost = after * jnp.log1p(divide(found, before + after, 0.0))
        least = divide(found - lost, found, 0.0)
        most = divide(hits[..., 1:], hits[..., 1:] + false_alarms[..., :-1], 0.0)
        return self._mean(least), self._mean(most)

    def compute(self) -> Array:
        """The mean precision of all classes together, float32 []."""
        support = self.histograms.support()
        return average_problems(self.per_class(), support, self.average)

    def _mean(self, precision):
        """The mean over the positives of precision in each bin, highest first."""
        positives = self.histograms.positives.value()[..., ::-1]
        total = self.histograms.support()
        found = divide((positives * precision).sum(axis=-1), total, 0.0)
        empty = total + self.histograms.negatives.sum().value() == 0
        return jnp.where(empty, jnp.nan, found)


def roc_auc(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    average: str = "macro",
    num_bins: int = 4096,
) -> RocAuc:
    """How likely a positive has a higher score than a negative, to within its bin.

    P(s⁺ > s⁻) + ½ P(s⁺ = s⁻) = Σₘ pₘ (N₍<m₎ + ½ nₘ) / (P N) with pₘ positives and nₘ
    negatives in bin m, P and N in all: the area under the true over the false positive
    rate. No sums say it exactly, as scores have to be compared in pairs; the error is
    at most ½ Σₘ pₘ nₘ / (P N), and ``bounds()`` says how much that is here.
    `fdl.metrics.exact.roc_auc` is exact, of all scores at once.

    Args:
      logits: Float [B, ..., C]: each class against the rest, by its probability. Or
        float [B], the logit of class 1 of two; or float [B, ..., L], L labels.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", the mean over classes, NaN if one has only positives or
        negatives; "weighted", by their positives, leaving out classes without;
        "binary", class 1 of two.
      num_bins: M, of the same width in asinh(logit) up to ±10⁴. Probabilities would
        all lie in a few of them: this takes logits.

    Returns:
      The metric, with ``per_class()``, ``bounds()`` and ``curve()``.

    Raises:
      UserError: The shapes do not fit, or do not have this average.

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
    """The area under the steps of precision over recall, to within a bin of the score.

    AP = Σₘ (Rₘ − Rₘ₋₁) Pₘ with recall Rₘ and precision Pₘ of what is in bin m or above.
    Straight lines between these points would be too optimistic. ``bounds()`` says how
    much the bins can change; `fdl.metrics.exact.average_precision` is exact, of all
    scores at once.

    Args:
      logits: As in `roc_auc`, and all the rest.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted" or "binary". A class without positives has 0.
      num_bins: How many bins there are.

    Returns:
      The metric, with ``per_class()``, ``bounds()`` and ``curve()``.

    Raises:
      UserError: The shapes do not fit, or do not have this average.

    References:
      Davis and Goadrich, `The Relationship Between Precision-Recall and ROC Curves
      <https://doi.org/10.1145/1143844.1143874>`_, 2006.
    """
    found = histograms(logits, labels, mask, average, num_bins)
    return AveragePrecision(found, average)
