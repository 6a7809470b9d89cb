"""Batches made of batches, or of nothing."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.types import Batch, Batches, PyTree


def no_data(per_step: int = 0, unit: str = "steps") -> Batches:
    """Endless batches of None, for what makes its own experience.

    Args:
      per_step: How many units a step consumes.
      unit: What they are.
    """
    return Batches(lambda start: itertools.repeat(None), per_step=per_step, unit=unit)


def transform(batches: Batches, function: Callable[[Batch], Batch]) -> Batches:
    """Batches with a function applied to each, on the device, as it is taken.

    So images may stay bytes in memory, and become numbers as they are used.

    Args:
      batches: What to transform.
      function: Of a batch, to a batch; traced.
    """

    def take(data: PyTree, item: PyTree) -> Batch:
        return function(batches.take(data, item))

    return batches._replace(take=take)


def scale(batches: Batches, **factors: float) -> Batches:
    """Batches with some of their arrays multiplied by a number, as float32.

    Args:
      batches: What to scale.
      **factors: By the name of the array: ``image=1 / 255``.
    """

    def multiply(batch: Batch) -> Batch:
        return {**batch, **{name: batch[name] * f for name, f in factors.items()}}

    return transform(batches, multiply)


def stack(runs: Sequence[Batches]) -> Batches:
    """Batches of several runs at once, on a new leading axis [S, ...].

    Args:
      runs: Of the same data, made in the same way but for the seed.

    Returns:
      Batches whose items are stacked, and whose data is shared.

    Raises:
      UserError: There are none, or they differ in more than the order.
    """
    if not runs:
        raise UserError("There are no batches to stack.")
    first = runs[0]
    for i, other in enumerate(runs[1:], start=1):
        for field in ("fingerprint", "unit", "per_step", "steps_per_epoch"):
            ours, theirs = getattr(first, field), getattr(other, field)
            if ours != theirs:
                raise UserError(
                    f"Batches 0 and {i} differ in {field}: {ours}, {theirs}."
                )
        # Fingerprints are those of the data, unless somebody replaced either.
        if not _same(first.data, other.data):
            raise UserError(f"Batches 0 and {i} are of different data.")

    def stream(start: int) -> Iterator[PyTree]:
        for items in zip(*(run.stream(start) for run in runs), strict=True):
            yield jax.tree.map(lambda *x: np.stack(x), *items)

    def take(data: PyTree, item: PyTree) -> Batch:
        if not jax.tree.leaves(item):  # There is nothing to map over.
            return first.take(data, item)
        return jax.vmap(first.take, in_axes=(None, 0))(data, item)

    return first._replace(stream=stream, take=take, batch_axis=first.batch_axis + 1)


def _same(data: PyTree, other: PyTree) -> bool:
    mine, others = map(jax.tree.leaves_with_path, (data, other))
    return len(mine) == len(others) and all(
        path == there and (a is b or _equal(a, b))
        for (path, a), (there, b) in zip(mine, others, strict=True)
    )


def _equal(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same; NaN is the same as NaN."""
    inexact = jnp.issubdtype(jnp.result_type(a), jnp.inexact)
    return np.array_equal(a, b, equal_nan=bool(inexact))
