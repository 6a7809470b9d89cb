"""Batches derived from other batches, and empty ones."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.errors import UserError
from fdl.types import Batch, Batches, PyTree


def no_data(per_step: int = 0, unit: str = "steps") -> Batches:
    """Empty batches (None), for learners that generate their own experience.

    Args:
      per_step: Number of units that a step consumes.
      unit: Name of the unit.

    Returns:
      Batches without end.
    """
    return Batches(lambda start: itertools.repeat(None), per_step=per_step, unit=unit)


def transform(batches: Batches, function: Callable[[Batch], Batch]) -> Batches:
    """Applies a function to every batch, on the device.

    It is part of `Batches.take`, so images can be stored as bytes and become floats
    only when they are used.

    Args:
      batches: Batches to transform.
      function: Function from a batch to a batch; traced by JAX.

    Returns:
      Batches with the same items and data.
    """

    def take(data: PyTree, item: PyTree) -> Batch:
        return function(batches.take(data, item))

    return batches._replace(take=take)


def scale(batches: Batches, **factors: float) -> Batches:
    """Multiplies some arrays of every batch by constants; integers become float32.

    Args:
      batches: Batches to scale.
      **factors: Factor by name of the array, as in ``image=1 / 255``.

    Returns:
      Batches with the same items and data.
    """

    def multiply(batch: Batch) -> Batch:
        return {**batch, **{name: batch[name] * f for name, f in factors.items()}}

    return transform(batches, multiply)


def stack(runs: Sequence[Batches]) -> Batches:
    """Stacks the batches of several runs along a new leading axis [S, ...].

    Args:
      runs: Batches of S runs, equal but for the seed.

    Returns:
      Batches with stacked items and shared data.

    Raises:
      UserError: There are none, or they differ in more than the order.
    """
    if not runs:
        raise UserError("runs=[]: expected the batches of at least one run")
    first = runs[0]
    for i, other in enumerate(runs[1:], start=1):
        for field in ("fingerprint", "unit", "per_step", "steps_per_epoch"):
            ours, theirs = getattr(first, field), getattr(other, field)
            if ours != theirs:
                raise UserError(
                    f"runs[{i}].{field}={theirs!r}: expected {ours!r}, as of runs[0]"
                )
        # Equal fingerprints mean equal data, unless a caller has replaced one of them
        # by `_replace`.
        if not _same(first.data, other.data):
            raise UserError(f"runs[{i}].data: expected the data of runs[0]")

    def stream(start: int) -> Iterator[PyTree]:
        for items in zip(*(run.stream(start) for run in runs), strict=True):
            yield jax.tree.map(lambda *x: np.stack(x), *items)

    def take(data: PyTree, item: PyTree) -> Batch:
        # `vmap` refuses arguments without arrays, such as the items of `no_data`.
        if not jax.tree.leaves(item):
            return first.take(data, item)
        # One `take` serves all runs: they differ only in their items.
        return jax.vmap(first.take, in_axes=(None, 0))(data, item)

    return first._replace(stream=stream, take=take, batch_axis=first.batch_axis + 1)


def _same(data: PyTree, other: PyTree) -> bool:
    """True if two pytrees have the same structure and equal leaves."""
    mine, others = map(jax.tree.leaves_with_path, (data, other))
    # Identity comes first: data is usually shared, and comparing it takes long.
    return len(mine) == len(others) and all(
        path == other_path and (a is b or _equal(a, b))
        for (path, a), (other_path, b) in zip(mine, others, strict=True)
    )


def _equal(a: Any, b: Any) -> bool:
    """True if two arrays are equal, with NaN equal to NaN."""
    inexact = jnp.issubdtype(jnp.result_type(a), jnp.inexact)
    return np.array_equal(a, b, equal_nan=bool(inexact))
