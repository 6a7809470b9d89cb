"""F-beta score, of which precision, recall and F1 are special cases."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from fdl.errors import UserError
from fdl.metrics.class_averaging import average_defined, check_average, divide
from fdl.metrics.class_counts import ClassCounts, class_counts, label_counts
from fdl.metrics.decisions import is_multilabel
from fdl.metrics.multilabel import f_beta_of_examples
from fdl.types import Array, Metric


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class FScore:
    """F-beta score, from mergeable counts.

    Attributes:
      counts: Counts of each class, [C].
      beta: Weight of recall relative to precision.
      average: Average over the classes.
      undefined: Score of a class whose denominator is zero; None leaves it out.
      only_seen: True if classes that occur in neither labels nor predictions are left
        out.
    """

    counts: ClassCounts
    beta: float = dataclasses.field(metadata={"static": True})
    average: str = dataclasses.field(metadata={"static": True})
    undefined: float | None = dataclasses.field(metadata={"static": True})
    only_seen: bool = dataclasses.field(metadata={"static": True})

    def per_class(self) -> Array:
        """Score of each class, float32 [C]; NaN for classes that are left out."""
        scores = self._score(self.counts)
        if not self.only_seen:
            return scores
        _, predicted, actual = self.counts
        # True for counts of NaN as well, whose scores are NaN anyway.
        occurs = predicted.value() + actual.value() != 0
        return jnp.where(occurs, scores, jnp.nan)

    def support(self) -> Array:
        """Number of examples of each class, float32 [C]."""
        return self.counts.actual.value()

    def compute(self) -> Array:
        """Average of the scores over the classes, float32 []."""
        if self.average == "micro":
            return self._score(ClassCounts(*(count.sum() for count in self.counts)))
        scores = self.per_class()
        if self.average == "binary":
            return scores[..., 1]
        weights = self.support() if self.average == "weighted" else None
        # `average_defined` leaves out scores of NaN, which would hide invalid counts.
        invalid = jnp.isnan(self.support()).any(axis=-1)
        return jnp.where(invalid, jnp.nan, average_defined(scores, weights))

    def _score(self, counts: ClassCounts) -> Array:
        hits, predicted, actual = (count.value() for count in counts)
        # The form with α = 1 / (1 + β²) holds for β = ∞ as well, where α is zero.
        alpha = 1 / (1 + self.beta**2)
        denominator = alpha * predicted + (1 - alpha) * actual
        return divide(hits, denominator, self.undefined)


def f_beta(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    beta: float,
    average: str = "macro",
    zero_division: float = 0.0,
    num_classes: int | None = None,
    only_seen: bool = False,
) -> Metric:
    """F-beta score, the weighted harmonic mean of precision P and recall R.

    Fᵦ = (1 + β²) P R / (β² P + R) = TP / (α (TP + FP) + (1 − α) (TP + FN)) with
    α = 1 / (1 + β²): precision for β = 0, recall for β = ∞.

    Args:
      logits: Logits of the classes, float [B, ..., C], the largest of which is the
        prediction. Or the logit of class 1 of two, float [B], predicted if it is not
        negative; or predicted class indices, int [B, ...]. For multi-label examples:
        logits, float [B, ..., L], positive predictions where not negative; or
        predictions, bool [B, ..., L].
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      beta: Weight β of recall relative to precision, zero or more.
      average: "macro", the mean over classes; "weighted", the mean weighted by the
        number of examples of each class; "micro", the score of the counts summed over
        the classes; "binary", the score of class 1 of two; "samples", the mean over
        multi-label examples.
      zero_division: Score where the denominator is zero; NaN leaves it out of the mean.
      num_classes: Number of classes; required if `logits` are class indices.
      only_seen: True to leave out classes that occur in neither labels nor predictions,
        as scikit-learn does by default.

    Returns:
      The metric, with ``per_class()`` and ``support()``, except for "samples".

    Raises:
      UserError: An option is invalid, or the average does not apply to the shapes.

    Example:
      >>> logits = jnp.array([[2.0, 1.0], [0.0, 3.0], [1.0, 4.0], [5.0, 0.0]])
      >>> score = f_beta(logits, jnp.array([0, 1, 0, 0]), beta=2)
      >>> score.compute(), score.per_class()
      (Array(0.774, dtype=float32), Array([0.714, 0.833], dtype=float32))

    References:
      van Rijsbergen, `Information Retrieval
      <http://www.dcs.gla.ac.uk/Keith/Preface.html>`_, 1979, chapter 7.
    """
    check_average(average, ("binary", "macro", "micro", "samples", "weighted"))
    if not beta >= 0:
        raise UserError(f"beta={beta}: expected zero or more")
    # None and not NaN: it is a static field, and NaN, which is not equal to itself,
    # would make two metrics of the same options impossible to merge.
    undefined = None if math.isnan(zero_division) else float(zero_division)
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    if average == "samples":
        return f_beta_of_examples(logits, labels, mask, beta, undefined)
    multilabel = is_multilabel(logits, labels)
    if multilabel:
        counts = label_counts(logits, labels, mask)
    else:
        counts = class_counts(logits, labels, mask, num_classes)
    size = counts.hits.whole.shape[-1]
    if average == "binary" and (multilabel or size != 2):
        unit = "labels per example" if multilabel else "classes"
        raise UserError(f"average='binary': expected two classes, not {size} {unit}")
    return FScore(counts, float(beta), average, undefined, only_seen)
