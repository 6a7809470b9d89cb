"""Batches as a pure function of the seed and the step."""

import itertools
from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data.prefetch import stream_records
from fdl.data.sources import Source, check_fits, fingerprint, num_examples, numbers
from fdl.errors import UserError
from fdl.types import Batch, Batches, PyTree


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
    """Batches of a source, epoch after epoch without end.

    Arrays become the data of the batches, so that they lie on the device and an item
    is ``{"index": int32 [B]}``. Of a sequence, the items are the batches themselves;
    they are read ahead, and are the same however that is done.

    Where the last batch of an epoch is incomplete and is not dropped, all batches have
    the same shape nevertheless: it is filled up with the first examples of its epoch,
    and ``mask``, float32 [B], is 0 for them. Otherwise there is no mask.

    Args:
      source: Arrays that share their leading axis, or a sequence of examples.
      batch_size: Examples in a batch.
      seed: Of the order. Batches are a function of it and of the step alone.
      shuffle: Whether each epoch has an order of its own; or else that of the source.
      drop_remainder: Whether to leave out the incomplete batch of each epoch.
      num_workers: Processes that read ahead; 0 for threads of this one.
      prefetch: Batches to read ahead, in each process.

    Raises:
      UserError: There is something wrong with the source or the sizes.
    """
    size = num_examples(source)
    check_sizes(size, batch_size, seed)
    steps = (size if drop_remainder else size + batch_size - 1) // batch_size
    item = _schedule(size, batch_size, seed, shuffle, steps)
    made = from_items(source, item, num_workers, prefetch)
    return made._replace(per_step=batch_size, steps_per_epoch=steps)


def from_items(
    source: Source,
    item: Callable[[int], dict[str, np.ndarray]],
    num_workers: int = 0,
    prefetch: int = 4,
) -> Batches:
    """Batches of a source, of which a function says what the batch of a step is.

    Args:
      source: Arrays that share their leading axis, or a sequence of examples.
      item: Of a step, to ``index``, int32 [B], and maybe ``mask``, float32 [B].
      num_workers: As of `batches`.
      prefetch: As of `batches`.

    Raises:
      UserError: The source has a mask already, or numbers that no device keeps.
    """
    if "mask" in (source if isinstance(source, Mapping) else numbers(source[0])):
        raise UserError("'mask' is the name of what batches add: choose another.")
    if isinstance(source, Mapping):
        for name, array in source.items():  # A device would wrap them silently.
            check_fits(name, array, jax.dtypes.canonicalize_dtype(array.dtype))
        made = Batches(_count(item), take_rows, dict(source))
    else:
        made = Batches(stream_records(source, item, num_workers, prefetch))
    return made._replace(fingerprint=fingerprint(source))


def order(seed: int, epoch: int, size: int) -> np.ndarray:
    """The order of the examples in an epoch: a permutation, int32 [size].

    It sorts the raw output of a counter-based generator, which NumPy promises not to
    change, while its own permutations may.

    References:
      Salmon et al., `Parallel Random Numbers: As Easy as 1, 2, 3
      <https://doi.org/10.1145/2063384.2063405>`_, 2011.
    """
    generator = np.random.Philox(key=np.array([seed, epoch], np.uint64))
    return np.argsort(generator.random_raw(size), kind="stable").astype(np.int32)


def take_rows(data: PyTree, item: PyTree) -> Batch:
    """Gathers the examples that an item names, and hands its mask on."""
    # Indices are in bounds: clipping only spares the filling in of what is not.
    rows = {
        name: jnp.take(array, item["index"], axis=0, mode="clip")
        for name, array in data.items()
    }
    return {**rows, **({"mask": item["mask"]} if "mask" in item else {})}


def check_sizes(size: int, batch_size: int, seed: int) -> None:
    """Raises `UserError` if there are no such batches, or is no such seed."""
    for name, value in {"batch_size": batch_size, "seed": seed}.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise UserError(f"{name} is {value!r}, but has to be an integer.")
    if batch_size < 1:
        raise UserError(f"batch_size is {batch_size}, but has to be positive.")
    if batch_size > size:
        raise UserError(f"batch_size is {batch_size}, but there are {size} examples.")
    if not 0 <= seed < 2**64:
        raise UserError(f"seed is {seed}, but has to be in [0, 2**64).")


def _count(item: Callable[[int], PyTree]) -> Callable[[int], Iterator[PyTree]]:
    def stream(start: int) -> Iterator[PyTree]:
        return map(item, itertools.count(start))

    return stream


def _schedule(
    size: int, batch_size: int, seed: int, shuffle: bool, steps_per_epoch: int
) -> Callable[[int], dict[str, np.ndarray]]:
    """Makes ``item(step)``: which examples, and which of them count."""
    last = (0, np.arange(size, dtype=np.int32))  # The order of one epoch is kept.
    if shuffle:
        last = (-1, last[1])
    masked = steps_per_epoch * batch_size > size

    def item(step: int) -> dict[str, np.ndarray]:
        nonlocal last
        epoch, i = divmod(step, steps_per_epoch)
        known, indices = last  # Read at once: threads share it.
        if shuffle and known != epoch:
            indices = order(seed, epoch, size)
            last = epoch, indices
        places = np.arange(i * batch_size, (i + 1) * batch_size)
        # Behind the end come the first ones again.
        index = indices[places % size]
        if not masked:
            return {"index": index}
        return {"index": index, "mask": (places < size).astype(np.float32)}

    return item
