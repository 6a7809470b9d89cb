"""Read-ahead of batches, in threads or in processes."""

import atexit
import contextlib
import functools
import importlib.util
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
import types
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fdl.data.sources import Records, examples
from fdl.errors import UserError

MAX_THREADS = 16  # Default of Grain.


def stream_records(
    source: Records,
    item: Callable[[int], dict[str, np.ndarray]],
    num_workers: int,
    prefetch: int,
) -> Callable[[int], Iterator[dict[str, np.ndarray]]]:
    """Stream of whole batches of records, read ahead, in the order of their steps.

    Args:
      source: Sequence of examples.
      item: Function of a step, to ``index``, int32 [B], and optionally ``mask``,
        float32 [B].
      num_workers: Number of processes that read ahead; 0 for threads of this one.
      prefetch: Number of batches to read ahead, in each process; 0 for none.

    Returns:
      ``stream(start)``: an iterator over batches from that step on.

    Raises:
      UserError: A number is negative.
    """

    def batch(step: int) -> dict[str, np.ndarray]:
        arrays = item(step)
        rows = examples(source, arrays.pop("index").tolist())
        return {**rows, **arrays}

    return read_ahead(batch, num_workers, prefetch)


def read_ahead(
    batch: Callable[[int], dict[str, np.ndarray]], num_workers: int, prefetch: int
) -> Callable[[int], Iterator[dict[str, np.ndarray]]]:
    """Stream of the batches of consecutive steps, read ahead; see `stream_records`.

    Args:
      batch: Function of a step, to its batch.
      num_workers: Number of processes that read ahead; 0 for threads of this one.
      prefetch: Number of batches to read ahead, in each process; 0 for none.
    """
    if num_workers < 0 or prefetch < 0:
        raise UserError(
            f"num_workers={num_workers}, prefetch={prefetch}: expected at least 0"
        )

    # Taken here, as the folder of an experiment is on the path only while it is built.
    begin = functools.partial(_begin_worker, [*sys.path], _renamed_modules())

    def stream(start: int) -> Iterator[dict[str, np.ndarray]]:
        # Imported late: grain takes more than a second, and small data does without.
        import grain

        # An element of the dataset is a step, not an example: so each batch is a
        # function of its step, and threads and processes cannot change it.
        steps = grain.MapDataset.range(start, sys.maxsize).map(batch)
        # Grain warns of more threads than buffered elements.
        threads = min(prefetch, MAX_THREADS)
        ahead = steps.to_iter_dataset(grain.ReadOptions(threads, prefetch))
        if num_workers:
            _parse_flags()
            workers = grain.MultiprocessingOptions(num_workers, max(prefetch, 1))
            # Arrays of a worker process lie in memory that it shares with this one; a
            # copy does not depend on how long that lasts.
            ahead = ahead.mp_prefetch(workers, begin).map(_copy)
        return _closing(ahead)

    return stream


def _begin_worker(
    path: Sequence[str], files: Mapping[str, str], index: int, count: int
) -> None:
    """Prepares a worker process: modules are found, and it ends with the main process.

    Args:
      path: Folders of modules, as `sys.path` of the main process.
      files: Paths of modules by other names than those of their files.
      index: Index of the worker.
      count: Number of workers.
    """
    del index, count
    # Ctrl-C reaches all processes of a terminal; the main one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def find_spec(name: str, *_: Any) -> Any:
        if name in files:
            return importlib.util.spec_from_file_location(name, files[name])
        return None

    sys.path[:] = path
    sys.meta_path.append(types.SimpleNamespace(find_spec=find_spec))


def _end_with_parent() -> None:
    """Ends this process as soon as its parent has ended, even if that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _renamed_modules() -> dict[str, str]:
    """Paths of modules whose name is not that of their file, such as experiments."""
    specs = [getattr(module, "__spec__", None) for module in [*sys.modules.values()]]
    return {
        spec.name: spec.origin
        for spec in specs
        if spec
        and spec.has_location
        and "." not in spec.name
        # Extension modules have the platform in their names.
        and str(spec.origin).endswith(".py")
        and pathlib.Path(spec.origin).stem not in (spec.name, "__init__")
    }


def _copy(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.array(array) for name, array in batch.items()}


def _closing(dataset: Any) -> Generator[dict[str, np.ndarray], None, None]:
    """Iterates over a dataset, and ends its threads and processes with the program."""

    def run():
        iterator = iter(dataset)
        try:
            yield from iterator
        finally:
            iterator.close()

    def close(reference):
        # `close` raises ValueError while a thread executes the generator. That thread
        # ends with the program anyway.
        with contextlib.suppress(ValueError):
            if (generator := reference()) is not None:
                generator.close()

    # Python tears down modules before it deletes the last iterators, whose `finally`
    # needs them. The reference is weak, so that `atexit` keeps no iterator alive.
    generator = run()
    atexit.register(close, weakref.ref(generator))
    return generator


def _parse_flags() -> None:
    """Marks the flags of absl as parsed, since Grain's processes read them."""
    # Imported late: only worker processes need its flags.
    from absl import flags

    # Only programs that start with `absl.app.run` parse them.
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
