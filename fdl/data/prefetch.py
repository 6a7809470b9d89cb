"""Batches that are read ahead, in threads or in processes."""

import atexit
import contextlib
import sys
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np

from fdl.data.sources import Records, examples
from fdl.errors import UserError

MAX_THREADS = 16


def stream_records(
    source: Records,
    item: Callable[[int], dict[str, np.ndarray]],
    num_workers: int,
    prefetch: int,
) -> Callable[[int], Iterator[dict[str, np.ndarray]]]:
    """Makes ``stream(start)`` of whole batches, in the order of their steps.

    Args:
      source: A sequence of examples.
      item: Which of them make the batch of a step: index int32 [B], and maybe a mask.
      num_workers: Processes that read ahead; 0 for threads of this one.
      prefetch: Batches to read ahead, in each process; 0 for none.

    Raises:
      UserError: A number is negative.
    """
    if num_workers < 0 or prefetch < 0:
        raise UserError(f"num_workers={num_workers}, prefetch={prefetch}: below zero.")

    def batch(step: int) -> dict[str, np.ndarray]:
        found = item(step)
        rows = examples(source, found.pop("index").tolist())
        return {**rows, **found}

    def stream(start: int) -> Iterator[dict[str, np.ndarray]]:
        import grain

        # Mapping steps, not examples, to batches makes each a function of its step.
        steps = grain.MapDataset.range(start, sys.maxsize).map(batch)
        threads = min(prefetch, MAX_THREADS)
        ahead = steps.to_iter_dataset(grain.ReadOptions(threads, prefetch))
        if num_workers:
            _parse_flags()
            workers = grain.MultiprocessingOptions(num_workers, max(prefetch, 1))
            # What comes from a process lies in memory that the process shares.
            ahead = ahead.mp_prefetch(workers).map(_copy)
        return _closing(ahead)

    return stream


def _copy(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.array(array) for name, array in batch.items()}


def _closing(dataset: Any) -> Generator[dict[str, np.ndarray], None, None]:
    """Iterates, and ends threads and processes with the iterator or the program."""

    def run():
        iterator = iter(dataset)
        try:
            yield from iterator
        finally:
            iterator.close()

    def close(reference):
        # A thread that is just reading ends with the program anyway.
        with contextlib.suppress(ValueError):
            if (found := reference()) is not None:
                found.close()

    # At exit, Python takes modules away before it deletes the last iterators.
    found = run()
    atexit.register(close, weakref.ref(found))
    return found


def _parse_flags() -> None:
    """Grain's processes read absl's flags, which only absl's own programs parse."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
