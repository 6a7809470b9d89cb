"""The weighted harmonic mean of precision and recall."""

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
    """How often each class was right, chosen and true, and what to make of it.

    Attributes:
      counts: Of each class, [C].
      beta: How many times recall counts as much as precision.
      average: How classes become one number.
      undefined: The score of a class with nothing to divide by; None to leave it out.
      only_seen: Whether to leave out what is neither label nor prediction.
    """

    counts: ClassCounts
    beta: float = dataclasses.field(metadata={"static": True})
    average: str = dataclasses.field(metadata={"static": True})
    undefined: float | None = dataclasses.field(metadata={"static": True})
    only_seen: bool = dataclasses.field(metadata={"static": True})

    def per_class(self) -> Array:
        """The score of each class, float32 [C]; NaN for what is left out."""
        scores = self._score(self.counts)
        if not self.only_seen:
            return scores
        _, predicted, actual = self.counts
        seen = predicted.value() + actual.value() != 0  # True of NaN, too.
        return jnp.where(seen, scores, jnp.nan)

    def support(self) -> Array:
        """How many examples each class has, float32 [C]."""
        return self.counts.actual.value()

    def compute(self) -> Array:
        """The score of all classes together, float32 []."""
        if self.average == "micro":
            return self._score(ClassCounts(*(count.sum() for count in self.counts)))
        scores = self.per_class()
        if self.average == "binary":
            return scores[..., 1]
        weights = self.support() if self.average == "weighted" else None
        # Counts that are not valid must not pass for scores that are undefined.
        spoilt = jnp.isnan(self.support()).any(axis=-1)
        return jnp.where(spoilt, jnp.nan, average_defined(scores, weights))

    def _score(self, counts: ClassCounts) -> Array:
        hits, predicted, actual = (count.value() for count in counts)
        share = 1 / (1 + self.beta**2)
        mixed = share * predicted + (1 - share) * actual
        return divide(hits, mixed, self.undefined)


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
    """The weighted harmonic mean of precision P and recall R.

    Fᵦ = (1 + β²) P R / (β² P + R) = TP / (α (TP + FP) + (1 − α) (TP + FN)) with
    α = 1 / (1 + β²): precision for β = 0, recall for β = ∞.

    Args:
      logits: Float [B, ..., C]: the largest is chosen. Or float [B], the logit of
        class 1 of two, chosen if it is not negative; or what was chosen, class indices
        [B, ...]. Or of several labels for each example: float [B, ..., L], each chosen
        if it is not negative; or bool, what was chosen.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      beta: β, how many times recall counts as much as precision.
      average: "macro", the mean over classes; "weighted", by their examples; "micro",
        the score of all counts together; "binary", the score of class 1 of two;
        "samples", the mean over examples with several labels.
      zero_division: The score where there is nothing to divide by; NaN to leave it out
        of the mean.
      num_classes: Needed if `logits` are class indices.
      only_seen: Whether to leave out classes that are neither label nor prediction, as
        scikit-learn does if it is not told of them.

    Returns:
      The metric. It has ``per_class()`` and ``support()``, but for "samples".

    Raises:
      UserError: There is no such average, or not for these shapes.

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
        raise UserError(f"beta is {beta}: expected zero or more")
    undefined = None if math.isnan(zero_division) else float(zero_division)
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    if average == "samples":
        return f_beta_of_examples(logits, labels, mask, beta, undefined)
    several = is_multilabel(logits, labels)
    if several:
        counts = label_counts(logits, labels, mask)
    else:
        counts = class_counts(logits, labels, mask, num_classes)
    size = counts.hits.whole.shape[-1]
    if average == "binary" and (several or size != 2):
        what = "labels of each example" if several else "classes"
        raise UserError(
            f"average 'binary' is of two classes, but there are {size} {what}"
        )
    return FScore(counts, float(beta), average, undefined, only_seen)
