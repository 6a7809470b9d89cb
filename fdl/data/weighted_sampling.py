"""Weighted sampling of batches, and balanced class weights."""

import hashlib
from typing import Any

import numpy as np

from fdl.data.batches import check_sizes, from_items
from fdl.data.sources import Source, num_examples
from fdl.errors import UserError
from fdl.types import Batches

# Last word of the Philox counter. `order` starts at 0 with the same key, so the two
# streams of a seed do not overlap.
DRAWS = 1


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
    """Batches sampled by example weights, each a pure function of seed and step.

    With replacement, each example of a batch is drawn independently, example i with
    probability wᵢ / Σ w; its expected count is batch_size · wᵢ / Σ w per batch. Without
    replacement, each draw is by weight from the examples that are left, so no example
    occurs twice in a batch, and heavy ones occur less often than that. Batches are
    independent of each other either way, and there is no mask. An epoch is as many
    steps as draw the number of examples.

    The weights ``class_weights(labels)[labels]`` sample all classes equally often.

    Args:
      source: Arrays that share their leading axis, or a sequence of examples.
      batch_size: Number of examples in a batch.
      weights: Weights of the examples, float [N], at least 0; they need not sum to 1.
      seed: Seed of the draws, in [0, 2**64).
      replacement: True if an example may occur twice in a batch. If False, a step draws
        a number for every example, which takes long for millions.
      num_workers: Number of processes that read ahead; 0 for threads of this one.
      prefetch: Number of batches to read ahead, in each process.

    Returns:
      Batches without end.

    Raises:
      UserError: The source, the sizes or the weights are not valid.

    References:
      Efraimidis and Spirakis, `Weighted Random Sampling with a Reservoir
      <https://doi.org/10.1016/j.ipl.2005.11.003>`_, 2006 (without replacement).
    """
    size = num_examples(source)
    check_sizes(size, batch_size, seed)
    weights = _validated(weights, size, batch_size, replacement)
    cumulative = np.cumsum(weights)

    def with_replacement(step: int) -> np.ndarray:
        # The first index whose cumulative weight reaches a number above 0: examples of
        # weight 0 do not raise the sum, and are never that index.
        heights = uniforms(seed, step, batch_size) * cumulative[-1]
        return np.searchsorted(cumulative, heights)

    def without_replacement(step: int) -> np.ndarray:
        # Exponential arrival times with the weights as rates: the order of arrival is
        # that of draws without replacement. A weight of 0 gives inf, or NaN for 0 / 0,
        # which sorts last too.
        with np.errstate(divide="ignore", invalid="ignore"):
            times = -np.log(uniforms(seed, step, size)) / weights
        return np.argsort(times, kind="stable")[:batch_size]

    draw = with_replacement if replacement else without_replacement

    def item(step: int) -> dict[str, np.ndarray]:
        return {"index": draw(step).astype(np.int32)}

    unsized = from_items(source, item, num_workers, prefetch)
    # Other weights make other batches of the same data.
    digest = hashlib.sha256(unsized.fingerprint.encode() + weights.tobytes())
    return unsized._replace(
        per_step=batch_size,
        steps_per_epoch=-(-size // batch_size),
        fingerprint=digest.hexdigest(),
    )


def class_weights(labels: Any, num_classes: int | None = None) -> np.ndarray:
    """Balanced class weights n / (C nᵧ), as in scikit-learn.

    nᵧ of the n labels are of class y; the mean weight over all labels is one. Use them
    for the loss (``objectives.classification(..., class_weights=...)``), or, as
    ``class_weights(labels)[labels]``, for `weighted_batches`. Both together would
    balance twice.

    Args:
      labels: Class indices, int [N].
      num_classes: Number of classes C. Default: the largest label plus one.

    Returns:
      Weights, float32 [C].

    Raises:
      UserError: A class has no example, or a label is not a class.

    Example:
      >>> class_weights(np.array([0, 0, 0, 1]))
      array([0.6666667, 2.       ], dtype=float32)
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "iu":
        raise UserError(
            "labels: expected class indices, int [N], got "
            f"{labels.dtype} {list(labels.shape)}"
        )
    size = int(labels.max()) + 1 if num_classes is None else num_classes
    if labels.min() < 0 or labels.max() >= size:
        raise UserError(
            f"labels: expected 0 to {size - 1}, got {labels.min()} to {labels.max()}"
        )
    counts = np.bincount(labels, minlength=size)
    if not counts.all():
        missing = int(np.argmin(counts))
        raise UserError(
            f"labels: expected examples of all classes, got none of {missing}"
        )
    return (len(labels) / (size * counts)).astype(np.float32)


def uniforms(seed: int, step: int, count: int) -> np.ndarray:
    """Uniform random numbers in (0, 1], float64 [count], by seed and step.

    They are the raw output of Philox, a counter-based generator, which NumPy guarantees
    to be the same in all versions.
    """
    generator = np.random.Philox(
        key=np.array([seed, step], np.uint64), counter=[0, 0, 0, DRAWS]
    )
    # The upper 53 of 64 bits are all that a double can hold. Adding 1 leaves out 0,
    # whose logarithm is infinite.
    return ((generator.random_raw(count) >> 11) + 1) * 2.0**-53


def _validated(
    weights: Any, size: int, batch_size: int, replacement: bool
) -> np.ndarray:
    """Weights as float64 [N], or a `UserError`."""
    weights = np.asarray(weights, np.float64)
    if weights.shape != (size,):
        raise UserError(
            f"weights: expected one per example, [{size}], got {list(weights.shape)}"
        )
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise UserError(
            f"weights[{first}]={weights[first]}: expected a finite number of at least 0"
        )
    positive = np.count_nonzero(weights)
    if not positive:
        raise UserError("weights: expected at least one above 0")
    if not replacement and positive < batch_size:
        raise UserError(
            f"batch_size={batch_size}: expected at most {positive}, the number of "
            "weights above 0, or replacement=True"
        )
    return weights
