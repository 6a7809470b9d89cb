"""Batches in which rare examples come more often, and weights that make them do so."""

import hashlib
from typing import Any

import numpy as np

from fdl.data.batches import check_sizes, from_items
from fdl.data.sources import Source, num_examples
from fdl.errors import UserError
from fdl.types import Batches

DRAWS = 1  # A counter of its own: `order` draws other numbers of the same seed.


def weighted_batches(
    source: Source,
    batch_size: int,
    weights: Any,
    seed: int = 0,
    *,
    replacement: bool = True,
    num_workers: int = 0,
    prefetch: int = 4,
) -> Batches:
    """Batches that are drawn by weights, each as a pure function of seed and step.

    With replacement each example of a batch is drawn on its own, and is example i with
    probability wᵢ / Σ w: on average it comes batch_size · wᵢ / Σ w times a batch.
    Without, no example comes twice in a batch: the next one is drawn, by weight, from
    those that are left, so that heavy ones come less often than that. Different
    batches know nothing of each other, either way; there is no mask. An epoch is as
    many steps as it takes to draw as many examples as there are.

    Weights that show all classes equally often are
    ``class_weights(labels)[labels]``.

    Args:
      source: Arrays that share their leading axis, or a sequence of examples.
      batch_size: Examples in a batch.
      weights: One of each example, float [N], not negative; their sum may be anything.
      seed: Of the draws.
      replacement: Whether an example may come twice in a batch. Without, a step draws
        numbers for all examples: mind the time, if there are millions.
      num_workers: Processes that read ahead; 0 for threads of this one.
      prefetch: Batches to read ahead, in each process.

    Raises:
      UserError: There is something wrong with the source, the sizes or the weights.

    References:
      Efraimidis and Spirakis, `Weighted Random Sampling with a Reservoir
      <https://doi.org/10.1016/j.ipl.2005.11.003>`_, 2006 (without replacement).
    """
    size = num_examples(source)
    check_sizes(size, batch_size, seed)
    weights = _checked(weights, size, batch_size, replacement)
    heights = np.cumsum(weights)

    def with_replacement(step: int) -> np.ndarray:
        return np.searchsorted(heights, uniforms(seed, step, batch_size) * heights[-1])

    def without(step: int) -> np.ndarray:
        # The first of exponential times at these rates are such a draw, in its order.
        with np.errstate(divide="ignore", invalid="ignore"):
            times = -np.log(uniforms(seed, step, size)) / weights
        return np.argsort(times, kind="stable")[:batch_size]

    draw = with_replacement if replacement else without

    def item(step: int) -> dict[str, np.ndarray]:
        return {"index": draw(step).astype(np.int32)}

    made = from_items(source, item, num_workers, prefetch)
    digest = hashlib.sha256(made.fingerprint.encode() + weights.tobytes())
    return made._replace(
        per_step=batch_size,
        steps_per_epoch=-(-size // batch_size),
        fingerprint=digest.hexdigest(),
    )


def class_weights(labels: Any, num_classes: int | None = None) -> np.ndarray:
    """Weights that make all classes count the same, n / (C nᵧ), as scikit-learn has it.

    nᵧ of the n labels are of class y, and the mean weight of all labels is one. They
    are for the loss (``objectives.classification(..., class_weights=...)``), or, by
    ``class_weights(labels)[labels]``, for `weighted_batches`; for both would be twice.

    Args:
      labels: Class indices, int [N].
      num_classes: C. Default: up to the largest label.

    Returns:
      Float32 [C].

    Raises:
      UserError: A class has no example, or a label is no class.

    Example:
      >>> class_weights(np.array([0, 0, 0, 1]))
      array([0.6666667, 2.       ], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "iu":
        raise UserError(
            f"labels are {labels.dtype} {list(labels.shape)}: expected class indices, "
            "int [N]"
        )
    size = int(labels.max()) + 1 if num_classes is None else num_classes
    if labels.min() < 0 or labels.max() >= size:
        raise UserError(
            f"labels go from {labels.min()} to {labels.max()}, "
            f"but the classes are 0 to {size - 1}."
        )
    counts = np.bincount(labels, minlength=size)
    if not counts.all():
        missing = int(np.argmin(counts))
        raise UserError(f"class {missing} has no example: it cannot be weighted.")
    return (len(labels) / (size * counts)).astype(np.float32)


def uniforms(seed: int, step: int, count: int) -> np.ndarray:
    """Numbers in (0, 1], float64 [count], of a seed and a step.

    They are the raw output of a counter-based generator, which NumPy promises not to
    change.
    """
    generator = np.random.Philox(
        key=np.array([seed, step], np.uint64), counter=[0, 0, 0, DRAWS]
    )
    return ((generator.random_raw(count) >> 11) + 1) * 2.0**-53


def _checked(weights: Any, size: int, batch_size: int, replacement: bool) -> np.ndarray:
    weights = np.asarray(weights, np.float64)
    if weights.shape != (size,):
        raise UserError(
            f"weights are {list(weights.shape)}: expected [{size}], one of each example"
        )
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise UserError(
            f"weights[{first}] is {weights[first]}, but has to be at least 0."
        )
    positive = np.count_nonzero(weights)
    if not positive:
        raise UserError("All weights are 0: there is nothing to draw.")
    if not replacement and positive < batch_size:
        raise UserError(
            f"batch_size is {batch_size}, but only {positive} examples have a weight "
            "above 0: draw with replacement."
        )
    return weights
