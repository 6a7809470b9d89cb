"""Batches derived from other batches, and empty ones."""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data import preprocessors
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
    """Multiplies some arrays of every batch by constants; see `preprocessors.scale`.

    Args:
      batches: Batches to scale.
      **factors: Factor by name of the array, as in ``image=1 / 255``.

    Returns:
      Batches with the same items and data.

    Raises:
      UserError: A factor is not a finite number; or, when a batch is taken, it has no
        such array.
    """
    return transform(
        batches, preprocessors.scale({k: float(x) for k, x in factors.items()})
    )


def zip_batches(runs: Sequence[Batches]) -> Batches:
    """Batches of several runs as one: a batch is a tuple of one batch for each.

    Runs on equal data share it. The batches of the runs may have different shapes.

    Args:
      runs: Batches of each run.

    Returns:
      Batches with the longest of their epochs, and a fingerprint of all the data.

    Raises:
      UserError: There are none, or they differ in their unit, their number of units per
        step or their batch axis.
    """
    if not runs:
        raise UserError("runs=[]: expected the batches of at least one run")
    first = runs[0]
    for i, other in enumerate(runs[1:], start=1):
        for field in ("unit", "per_step", "batch_axis"):
            ours, theirs = getattr(first, field), getattr(other, field)
            if ours != theirs:
                raise UserError(
                    f"runs[{i}].{field}={theirs!r}: expected {ours!r}, as of runs[0]"
                )
    # Equal fingerprints mean equal data, unless a caller has replaced one of them by
    # `_replace`; different data is not compared, which takes long.
    sources: list[Batches] = []
    places = []
    for run in runs:
        known = (
            i
            for i, source in enumerate(sources)
            if source.fingerprint == run.fingerprint and _same(source.data, run.data)
        )
        place = next(known, len(sources))
        places.append(place)
        sources += [run] if place == len(sources) else []

    def take(data: PyTree, item: PyTree) -> Batch:
        parts = zip(runs, places, item, strict=True)
        return tuple(run.take(data[place], one) for run, place, one in parts)

    prints = [run.fingerprint for run in runs]
    return first._replace(
        stream=lambda start: zip(*(run.stream(start) for run in runs), strict=True),
        take=take,
        data=tuple(source.data for source in sources),
        steps_per_epoch=max(run.steps_per_epoch or 0 for run in runs) or None,
        fingerprint=prints[0]
        if len({*prints}) == 1
        else hashlib.sha256("".join(prints).encode()).hexdigest(),
    )


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
