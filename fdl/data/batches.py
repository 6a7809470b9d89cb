"""Batches as a pure function of the seed and the step."""

import itertools
from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data.prefetch import stream_records
from fdl.data.sources import (
    Source,
    check_fits,
    fingerprint,
    num_examples,
    numbers,
    without_text,
)
from fdl.errors import UserError
from fdl.types import Array, Batch, Batches, PyTree


def batches(
    source: Source,
    batch_size: int,
    seed: int = 0,
    *,
    shuffle: bool = True,
    drop_remainder: bool = False,
    num_workers: int = 0,
    prefetch: int = 4,
) -> Batches:
    """Mini-batches of a source, for any number of epochs.

    Arrays become the data of the batches: they lie on the device, and an item is
    ``{"index": int32 [B]}``. Of a sequence of examples, the items are the batches
    themselves; they are read ahead, which does not change them.

    If the last batch of an epoch is incomplete and not dropped, it is padded with the
    first examples of the epoch, so that all batches have the same shape; ``mask``,
    float32 [B], is 0 for the padding. Otherwise there is no mask.

    Args:
      source: Arrays that share their leading axis, or a sequence of examples.
      batch_size: Number of examples in a batch.
      seed: Seed of the order, in [0, 2**64). Batches are a function of it and of the
        step alone.
      shuffle: True to shuffle each epoch anew; False to keep the order of the source.
      drop_remainder: True to leave out the incomplete batch of each epoch.
      num_workers: Number of processes that read ahead; 0 for threads of this one. They
        import the modules that the source is of, such as the experiment's file, and end
        with this process.
      prefetch: Number of batches to read ahead, in each process.

    Returns:
      Batches without end.

    Raises:
      UserError: The source, the batch size or the seed is not valid.
    """
    size = num_examples(source)
    check_sizes(size, batch_size, seed)
    steps = (size if drop_remainder else size + batch_size - 1) // batch_size
    item = _schedule(size, batch_size, seed, shuffle, steps)
    unsized = from_items(source, item, num_workers, prefetch)
    return unsized._replace(per_step=batch_size, steps_per_epoch=steps)


def from_items(
    source: Source,
    item: Callable[[int], dict[str, np.ndarray]],
    num_workers: int = 0,
    prefetch: int = 4,
) -> Batches:
    """Batches of a source, by a function from the step to indices of examples.

    Args:
      source: Arrays that share their leading axis, or a sequence of examples.
      item: Function of a step, to ``index``, int32 [B], and optionally ``mask``,
        float32 [B].
      num_workers: See `batches`.
      prefetch: See `batches`.

    Returns:
      Batches without ``per_step`` and ``steps_per_epoch``.

    Raises:
      UserError: The source has an array ``mask``, or integers beyond 32 bits.
    """
    if isinstance(source, Mapping):
        source = without_text(source)
    if "mask" in (source if isinstance(source, Mapping) else numbers(source[0])):
        raise UserError("source: expected no array 'mask', a name that batches add")
    if isinstance(source, Mapping):
        # JAX wraps integers of 64 bits to 32 silently, unless x64 is enabled.
        for name, array in source.items():
            check_fits(name, array, jax.dtypes.canonicalize_dtype(array.dtype))
        unsized = Batches(_item_stream(item), take_rows, dict(source))
    else:
        unsized = Batches(stream_records(source, item, num_workers, prefetch))
    return unsized._replace(fingerprint=fingerprint(source))


def order(seed: int, epoch: int, size: int) -> np.ndarray:
    """Random order of the examples in an epoch: a permutation, int32 [size].

    It sorts the raw output of Philox, a counter-based generator, which NumPy guarantees
    to be the same in all versions; it does not guarantee that of its permutations.

    Args:
      seed: Seed, in [0, 2**64).
      epoch: Number of the epoch, from 0.
      size: Number of examples.

    References:
      Salmon et al., `Parallel Random Numbers: As Easy as 1, 2, 3
      <https://doi.org/10.1145/2063384.2063405>`_, 2011.
    """
    generator = np.random.Philox(key=np.array([seed, epoch], np.uint64))
    return np.argsort(generator.random_raw(size), kind="stable").astype(np.int32)


def take_rows(data: PyTree, item: PyTree) -> Batch:
    """Gathers the examples at the indices of an item, along with its mask."""
    # Indices are in bounds by construction. The default mode would add a select that
    # fills rows out of bounds with NaN.
    rows = {
        name: jnp.take(array, item["index"], axis=0, mode="clip")
        for name, array in data.items()
    }
    return {**rows, **({"mask": item["mask"]} if "mask" in item else {})}


def keyed_items(
    batches: Batches, seed: int = 0, count: int | None = None
) -> Iterator[tuple[PyTree, Array]]:
    """First items of batches, and a key for each of them.

    Args:
      batches: Batches.
      seed: Seed of the keys.
      count: Number of items. Default: an epoch.
    """
    root = jax.random.key(seed)
    items = itertools.islice(batches.stream(0), count or batches.steps_per_epoch)
    for i, item in enumerate(items):
        yield item, jax.random.fold_in(root, i)


def check_sizes(size: int, batch_size: int, seed: int) -> None:
    """Raises `UserError` unless the batch size and the seed are valid."""
    for name, value in {"batch_size": batch_size, "seed": seed}.items():
        # `bool` is a subclass of `int`.
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise UserError(f"{name}={value!r}: expected an integer")
    if batch_size < 1:
        raise UserError(f"batch_size={batch_size}: expected at least 1")
    if batch_size > size:
        raise UserError(
            f"batch_size={batch_size}: expected at most {size}, the number of examples"
        )
    # A word of the Philox key has 64 bits.
    if not 0 <= seed < 2**64:
        raise UserError(f"seed={seed}: expected an integer in [0, 2**64)")


def _item_stream(item: Callable[[int], PyTree]) -> Callable[[int], Iterator[PyTree]]:
    """Stream of the items of consecutive steps."""

    def stream(start: int) -> Iterator[PyTree]:
        return map(item, itertools.count(start))

    return stream


def _schedule(
    size: int, batch_size: int, seed: int, shuffle: bool, steps_per_epoch: int
) -> Callable[[int], dict[str, np.ndarray]]:
    """Function from a step to the indices and the mask of its batch."""
    # The order of the last epoch is cached, since sorting costs more than a batch. No
    # epoch is −1, so the first step of a shuffled source computes its order.
    cached = (-1 if shuffle else 0, np.arange(size, dtype=np.int32))
    masked = steps_per_epoch * batch_size > size

    def item(step: int) -> dict[str, np.ndarray]:
        nonlocal cached
        epoch, i = divmod(step, steps_per_epoch)
        # One tuple is read and replaced as a whole, because threads share it.
        cached_epoch, indices = cached
        if shuffle and cached_epoch != epoch:
            indices = order(seed, epoch, size)
            cached = epoch, indices
        positions = np.arange(i * batch_size, (i + 1) * batch_size)
        # Positions beyond the end wrap around: they are the padding.
        index = indices[positions % size]
        if not masked:
            return {"index": index}
        return {"index": index, "mask": (positions < size).astype(np.float32)}

    return item
