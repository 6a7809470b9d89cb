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
    """How much of what was chosen is right, TP / (TP + FP).

    Args:
      logits: As in `fdl.metrics.f_beta`, and all the rest.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted", "micro", "binary" or "samples".
      zero_division: The score of a class that is never chosen.
      num_classes: Needed if `logits` are class indices.
      only_seen: Whether to leave out classes that are neither label nor prediction.
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
    """How much of what is right was chosen, TP / (TP + FN).

    Args:
      logits: As in `fdl.metrics.f_beta`, and all the rest.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted", "micro", "binary" or "samples".
      zero_division: The score of a class that is never true.
      num_classes: Needed if `logits` are class indices.
      only_seen: Whether to leave out classes that are neither label nor prediction.
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
    """The harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN).

    Args:
      logits: As in `fdl.metrics.f_beta`, and all the rest.
      labels: Class indices, int [B, ...]; or 0 and 1, int [B, ..., L].
      mask: Weights, [B, ...].
      average: "macro", "weighted", "micro", "binary" or "samples".
      zero_division: The score of a class that is never chosen and never true.
      num_classes: Needed if `logits` are class indices.
      only_seen: Whether to leave out classes that are neither label nor prediction.
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
