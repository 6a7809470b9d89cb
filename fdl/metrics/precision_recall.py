"""Precision, recall and F1."""

import math

from fdl.metrics.f_score import f_beta
from fdl.types import Array, Metric


def precision(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    average: str = "macro",
    zero_division: float = 0.0,
    num_classes: int | None = None,
    only_seen: bool = False,
) -> Metric:
    """Precision, the share of predictions that are correct, TP / (TP + FP).

    Args:
      logits: Logits or predictions, in one of the forms of `fdl.metrics.f_beta`.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted", "micro", "binary" or "samples".
      zero_division: Score of a class that is never predicted; NaN leaves it out.
      num_classes: Number of classes; required if `logits` are class indices.
      only_seen: True to leave out classes that occur in neither labels nor
        predictions.

    Raises:
      UserError: An option is invalid, or the average does not apply to the shapes.
    """
    return f_beta(
        logits,
        labels,
        mask,
        beta=0.0,
        average=average,
        zero_division=zero_division,
        num_classes=num_classes,
        only_seen=only_seen,
    )


def recall(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    average: str = "macro",
    zero_division: float = 0.0,
    num_classes: int | None = None,
    only_seen: bool = False,
) -> Metric:
    """Recall, the share of labels that are predicted, TP / (TP + FN).

    Args:
      logits: Logits or predictions, in one of the forms of `fdl.metrics.f_beta`.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted", "micro", "binary" or "samples".
      zero_division: Score of a class without labels; NaN leaves it out.
      num_classes: Number of classes; required if `logits` are class indices.
      only_seen: True to leave out classes that occur in neither labels nor
        predictions.

    Raises:
      UserError: An option is invalid, or the average does not apply to the shapes.
    """
    return f_beta(
        logits,
        labels,
        mask,
        beta=math.inf,
        average=average,
        zero_division=zero_division,
        num_classes=num_classes,
        only_seen=only_seen,
    )


def f1(
    logits: Array,
    labels: Array,
    mask: Array | None = None,
    *,
    average: str = "macro",
    zero_division: float = 0.0,
    num_classes: int | None = None,
    only_seen: bool = False,
) -> Metric:
    """F1 score, the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN).

    Args:
      logits: Logits or predictions, in one of the forms of `fdl.metrics.f_beta`.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted", "micro", "binary" or "samples".
      zero_division: Score of a class without labels or predictions; NaN leaves it
        out.
      num_classes: Number of classes; required if `logits` are class indices.
      only_seen: True to leave out classes that occur in neither labels nor
        predictions.

    Raises:
      UserError: An option is invalid, or the average does not apply to the shapes.
    """
    return f_beta(
        logits,
        labels,
        mask,
        beta=1.0,
        average=average,
        zero_division=zero_division,
        num_classes=num_classes,
        only_seen=only_seen,
    )
