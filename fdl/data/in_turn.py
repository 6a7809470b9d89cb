"""Batches of several kinds, one after the other."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from fdl.types import Batches, PyTree


def in_turn(kinds: Mapping[str, Batches], num_steps: int) -> Batches:
    """Batches of one kind for a number of steps, and then of another: pretraining, say.

    Args:
      kinds: Batches of both kinds by name, in their order.
      num_steps: Number of steps with the first kind.

    Returns:
      Batches with the name of their kind, ``{name: batch}``, whose unit and number of
      examples are those of the first.

    Example:
      >>> import numpy as np
      >>> from fdl import data
      >>> one, two = ({"x": np.full(4, i)} for i in range(2))
      >>> kinds = {"first": data.batches(one, 2), "second": data.batches(two, 2)}
      >>> batches = in_turn(kinds, num_steps=1)
      >>> items = batches.stream(0)
      >>> [[*batches.take(batches.data, next(items))] for _ in range(3)]
      [['first'], ['second'], ['second']]
    """
    (one, first), (other, second) = kinds.items()

    def stream(step: int) -> Iterator[PyTree]:
        begin = itertools.islice(first.stream(step), max(num_steps - step, 0))
        yield from ({one: item} for item in begin)
        rest = second.stream(max(step - num_steps, 0))
        yield from ({other: item} for item in rest)

    def take(data: Any, item: Any) -> Any:
        ((kind, part),) = item.items()
        return {kind: kinds[kind].take(data[kind], part)}

    return first._replace(
        stream=stream,
        take=take,
        data={kind: batches.data for kind, batches in kinds.items()},
        steps_per_epoch=None,
        fingerprint=first.fingerprint + second.fingerprint,
    )
