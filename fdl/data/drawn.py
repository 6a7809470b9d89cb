"""Batches of examples that are drawn on the device, as needed."""

import itertools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data.batches import check_sizes
from fdl.data.splits import Splits
from fdl.types import Batch, Batches, Key, PyTree

HELD_OUT = 2**32, 2**32 + 1  # Seeds of validation and test, which no run has.


def drawn_splits(
    draw: Callable[[Key], Batch], batch_size: int, num_held_out: int, seed: int = 0
) -> Splits:
    """Splits of examples that are made on the fly; see `drawn`.

    Args:
      draw: ``draw(key)``, one example.
      batch_size: Number of examples in a training batch.
      num_held_out: Number of examples of the validation, and of the test, which are the
        same for every seed.
      seed: Seed of the training examples, in [0, 2**32).

    Raises:
      UserError: A size or the seed is not valid.
    """
    held_out = (drawn(draw, num_held_out, x, steps_per_epoch=1) for x in HELD_OUT)
    return Splits(drawn(draw, batch_size, seed), *held_out)


def drawn(
    draw: Callable[[Key], Batch],
    batch_size: int,
    seed: int = 0,
    *,
    steps_per_epoch: int | None = None,
) -> Batches:
    """Batches of examples that are made on the fly, each a function of its number.

    Nothing is stored, and no example is seen twice: a step draws those of the numbers
    ``step * batch_size`` and following, each from a key of the seed and its number.

    Args:
      draw: ``draw(key)``, one example: arrays by name, without a batch axis. It is
        traced and vmapped.
      batch_size: Number of examples in a batch.
      seed: Seed of the keys, in [0, 2**64).
      steps_per_epoch: Number of steps of an epoch, for evaluation on the same examples
        each time. Default: there are no epochs.

    Returns:
      Batches without end. Numbers wrap around after 2**32 examples.

    Raises:
      UserError: The batch size or the seed is not valid.

    Example:
      >>> coins = drawn(lambda key: {"heads": jax.random.bernoulli(key)}, 4)
      >>> coins.take(None, next(coins.stream(0)))["heads"].shape
      (4,)
    """
    check_sizes(2**32, batch_size, seed)
    low, high = (np.uint32(word) for word in (seed % 2**32, seed >> 32))

    def stream(start: int) -> Iterator[PyTree]:
        rows = np.arange(batch_size, dtype=np.uint64)
        for step in itertools.count(start):
            yield (rows + step * batch_size).astype(np.uint32)

    def take(data: PyTree, item: PyTree) -> Batch:
        del data
        root = jax.random.fold_in(jax.random.key(low), high)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(root, jnp.asarray(item))
        return jax.vmap(draw)(keys)

    return Batches(stream, take, per_step=batch_size, steps_per_epoch=steps_per_epoch)
