"""Windows of a corpus, at random or in order."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl.config import in_range
from fdl.data.prefetch import read_ahead
from fdl.data.sources import fingerprint, narrow
from fdl.data.weighted_sampling import uniforms
from fdl.errors import UserError
from fdl.types import Batch, Batches, PyTree

MAX_ON_DEVICE = 1 << 30  # Bytes.
MAX_BATCH = 1 << 20
PREFETCH = 4  # Batches that are read ahead.
# Of a corpus that is read ahead, the fingerprint covers this many blocks of tokens.
NUM_BLOCKS, BLOCK = 256, 4096


def windows(
    tokens: Any, length: int, batch_size: int, seed: int = 0, *, shuffle: bool = True
) -> Batches:
    """Windows of a corpus, for language models: ``{"tokens": int32 [B, length + 1]}``.

    The first ``length`` tokens of a window are inputs, the last ``length`` targets.

    Shuffled, windows start anywhere in the corpus, independently of each other, as in
    nanoGPT; an epoch is as many steps as have the number of targets of the corpus. In
    order, they follow each other, and in an epoch each token but the first is a target
    once. Where the last batch is not full, all batches of the epoch have ``mask``,
    float32 [B, length + 1]: 1 for tokens of the corpus, 0 for padding, which repeats
    the last token.

    Tokens of at most 1 GiB lie on the device in their own dtype, and an item is the
    starts of the windows, ``{"start": int32 [B]}``. Beyond that, an item is the batch,
    read ahead from the file.

    Args:
      tokens: Token ids, int [N], such as `Corpus.tokens` or those of a `read_bin`.
      length: Number of targets of a window.
      batch_size: Number of windows in a batch.
      seed: Seed of the starts, in [0, 2**64). Batches are a function of it and of the
        step alone.
      shuffle: True for random windows, False for all windows in order.

    Returns:
      Batches without end, in units of tokens: the targets, padding included.

    Raises:
      UserError: There are too few tokens, they are no token ids, or the batch size or
        the seed is not valid.

    Example:
      >>> batches = windows(np.arange(8), 3, 2, shuffle=False)
      >>> item, last = itertools.islice(batches.stream(0), 2)
      >>> batches.take(batches.data, item)["tokens"].tolist()
      [[0, 1, 2, 3], [3, 4, 5, 6]]
      >>> batches.take(batches.data, last)["mask"].tolist()
      [[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]

    References:
      Karpathy, `nanoGPT <https://github.com/karpathy/nanoGPT>`_, 2022.
    """
    tokens = checked(tokens)
    num_targets = len(tokens) - 1
    length = in_range("length", length, 1, num_targets)
    batch_size = in_range("batch_size", batch_size, 1, MAX_BATCH)
    seed = in_range("seed", seed, 0, 2**64 - 1)
    steps = -(-num_targets // (batch_size * length))

    def at_random(step: int) -> np.ndarray:
        # The numbers are above 0, hence the 1.
        heights = uniforms(seed, step, batch_size) * (len(tokens) - length)
        return np.ceil(heights).astype(np.int64) - 1

    def in_order(step: int) -> np.ndarray:
        first = step % steps * batch_size
        # Beyond the end there is nothing but padding.
        return np.minimum(np.arange(first, first + batch_size) * length, len(tokens))

    starts = at_random if shuffle else in_order
    return from_starts(
        tokens,
        length,
        lambda step: {"start": starts(step)},
        masked=not shuffle and num_targets % (batch_size * length) > 0,
    )._replace(per_step=batch_size * length, steps_per_epoch=steps)


def from_starts(
    tokens: np.ndarray,
    length: int,
    item: Callable[[int], dict[str, np.ndarray]],
    *,
    masked: bool = False,
) -> Batches:
    """Batches of windows, by a function from the step to their starts.

    Args:
      tokens: Token ids, int [N], from `checked`.
      length: Number of targets of a window.
      item: Function of a step, to ``start``, int64 [B], and further arrays [B, ...] of
        the batch.
      masked: True if batches have a ``mask``, as windows may reach beyond the end.

    Returns:
      Batches without ``per_step`` and ``steps_per_epoch``.
    """
    columns = np.arange(length + 1, dtype=np.int32)[None]

    def far(step: int) -> dict[str, np.ndarray]:
        arrays = item(step)
        places = arrays.pop("start")[:, None] + columns
        rows = tokens[np.minimum(places, len(tokens) - 1)].astype(np.int32)
        if masked:
            arrays["mask"] = (places < len(tokens)).astype(np.float32)
        return {"tokens": rows, **arrays}

    def near(step: int) -> dict[str, np.ndarray]:
        arrays = item(step)
        return {**arrays, "start": arrays["start"].astype(np.int32)}

    def stream(start: int) -> Iterator[PyTree]:
        return map(near, itertools.count(start))

    def take(data: PyTree, item: PyTree) -> Batch:
        batch = {name: array for name, array in item.items() if name != "start"}
        places = item["start"][:, None] + columns
        rows = jnp.take(data["tokens"], places, mode="clip")
        if masked:
            batch["mask"] = (places < len(tokens)).astype(jnp.float32)
        return {"tokens": rows.astype(jnp.int32), **batch}

    if tokens.nbytes > MAX_ON_DEVICE:
        ahead = read_ahead(far, num_workers=0, prefetch=PREFETCH)
        return Batches(ahead, unit="tokens", fingerprint=_fingerprint(tokens))
    data = {"tokens": tokens}
    return Batches(stream, take, data, "tokens", fingerprint=fingerprint(data))


def checked(tokens: Any) -> np.ndarray:
    """Token ids as an array of at most 32 bits; a memory map stays one.

    Raises:
      UserError: They are not at least two non-negative integers.
    """
    tokens = np.asanyarray(tokens)
    if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
        raise UserError(
            f"tokens: expected token ids, int [N], got {tokens.dtype} "
            f"{list(tokens.shape)}"
        )
    if len(tokens) < 2:
        raise UserError(f"tokens: expected at least 2, got {len(tokens)}")
    if tokens.dtype.kind == "i" and tokens.min() < 0:
        raise UserError(f"tokens: expected ids from 0 on, got {tokens.min()}")
    return narrow("tokens", tokens)


def _fingerprint(tokens: np.ndarray) -> str:
    """Hash of the number of tokens, and of blocks of them all over the corpus."""
    total = hashlib.sha256(f"{len(tokens)} {tokens.dtype}".encode())
    for start in np.linspace(0, len(tokens) - 1, NUM_BLOCKS, dtype=np.int64):
        total.update(np.ascontiguousarray(tokens[start : start + BLOCK]).data)
    # The last block above is of one token.
    total.update(np.ascontiguousarray(tokens[-BLOCK:]).data)
    return total.hexdigest()
