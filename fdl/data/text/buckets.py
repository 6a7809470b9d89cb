"""Bucketing of documents by length, with a budget of tokens for a batch."""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.config import in_range
from fdl.data.batches import order
from fdl.data.sources import Arrays, fingerprint, num_examples
from fdl.data.text.packing import MAX_LENGTH, checked_documents
from fdl.errors import UserError
from fdl.types import NOTHING, Batch, Batches

MAX_BUCKETS = 1000
MAX_CANDIDATES = 256  # Widths among which the best are searched.


class BucketPlan(NamedTuple):
    """Division of documents into buckets.

    Attributes:
      widths: Length of the rows of each bucket, ascending.
      batch_sizes: Number of rows of a batch of each bucket.
      members: Indices of the documents of each bucket, ascending.
      num_tokens: Number of tokens of all documents.
    """

    widths: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    members: tuple[np.ndarray, ...]
    num_tokens: int

    @property
    def num_batches(self) -> tuple[int, ...]:
        """Number of batches of each bucket in an epoch."""
        pairs = zip(self.members, self.batch_sizes, strict=True)
        return tuple(-(-len(members) // size) for members, size in pairs)

    @property
    def padding_share(self) -> float:
        """Share of padding in the batches of an epoch."""
        shapes = zip(self.num_batches, self.batch_sizes, self.widths, strict=True)
        return 1 - self.num_tokens / sum(n * size * width for n, size, width in shapes)


def bucket_plan(
    documents: Sequence[Any], budget: int, widths: int | Sequence[int] = 4
) -> BucketPlan:
    """Division of documents into buckets by their length; see `buckets`.

    Example:
      >>> plan = bucket_plan([[1], [2, 3], [4, 5, 6], [7, 8, 9, 10]], 8, widths=2)
      >>> plan.widths, plan.batch_sizes, plan.padding_share
      ((2, 4), (2, 2), 0.16666666666666663)
    """
    sizes = np.array([len(ids) for ids in checked_documents(documents)])
    widths = _widths(sizes, widths)
    budget = in_range("budget", budget, widths[-1], MAX_LENGTH)
    bucket = np.searchsorted(widths, sizes)
    filled = [i for i in range(len(widths)) if (bucket == i).any()]
    members = tuple(np.flatnonzero(bucket == i) for i in filled)
    widths = tuple(widths[i] for i in filled)
    batch_sizes = (
        min(budget // width, len(found))
        for width, found in zip(widths, members, strict=True)
    )
    return BucketPlan(widths, tuple(batch_sizes), members, int(sizes.sum()))


def buckets(
    documents: Sequence[Any],
    budget: int,
    seed: int = 0,
    *,
    widths: int | Sequence[int] = 4,
    pad_token: int = 0,
    arrays: Arrays = NOTHING,
    group: int = 1,
    shuffle: bool = True,
) -> Batches:
    """Batches of documents of similar length, with a budget of tokens for each.

    A document belongs to the narrowest bucket that is as wide as it is long. A batch is
    of one bucket: ``{"tokens": int32 [B, T], "mask": float32 [B]}``, T its width and B
    as many rows as the budget allows; documents are padded on the right. In an epoch
    each document is in one batch; where the last batch of a bucket is not full, it
    repeats others, whose ``mask`` is 0.

    A step is compiled once for each bucket. Fused steps are of one bucket, as a call
    ends where the bucket changes: with ``steps_per_call=N`` say ``group=N``.

    Which bucket a step has depends on the step alone, and which documents on the seed
    as well, so that several seeds are trained at once.

    Args:
      documents: Token ids of each document, integers [T_i], not empty.
      budget: Number of tokens of a batch, padding included; at least the largest width.
      seed: Seed of the order, in [0, 2**64).
      widths: Widths of the buckets, ascending; or their number: then those widths that
        need the least padding.
      pad_token: Token id of padding.
      arrays: Further arrays of the documents by name, [N, ...], such as labels.
      group: Number of consecutive steps of one bucket.
      shuffle: True to shuffle documents and groups in each epoch; False to keep the
        order of the documents in each bucket, and the buckets ascending.

    Returns:
      Batches without end, in units of tokens: the mean number of tokens in a batch,
      without padding. `bucket_plan` tells the share of padding.

    Raises:
      UserError: A document is empty, or longer than the widest bucket; or an argument
        is not valid.
    """
    plan = bucket_plan(documents, budget, widths)
    seed = in_range("seed", seed, 0, 2**64 - 1)
    group = in_range("group", group, 1, MAX_LENGTH)
    pad_token = in_range("pad_token", pad_token, 0, 2**31 - 1)
    steps = sum(plan.num_batches)
    _check_arrays(arrays, len(documents))
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    schedule = schedule_of(plan, seed, group, steps, shuffle)

    def item(step: int) -> Batch:
        bucket, index, mask = schedule(step)
        shape = plan.batch_sizes[bucket], plan.widths[bucket]
        tokens = np.full(shape, pad_token, np.int32)
        for row, i in enumerate(index):
            ids = np.asarray(documents[i])
            tokens[row, : len(ids)] = ids
        rows = {name: array[index] for name, array in arrays.items()}
        return {"tokens": tokens, "mask": mask, **rows}

    def stream(start: int) -> Iterator[Batch]:
        return map(item, itertools.count(start))

    return Batches(
        stream,
        unit="tokens",
        per_step=plan.num_tokens // steps,
        steps_per_epoch=steps,
        fingerprint=_fingerprint(documents, arrays, plan),
    )


def _widths(sizes: np.ndarray, widths: int | Sequence[int]) -> tuple[int, ...]:
    """Widths of the buckets, checked."""
    if not isinstance(widths, Sequence):
        return _least_padding(sizes, in_range("widths", widths, 1, MAX_BUCKETS))
    numbers = tuple(in_range("widths", width, 1, MAX_LENGTH) for width in widths)
    if not numbers or any(a >= b for a, b in itertools.pairwise(numbers)):
        raise UserError(f"widths={[*widths]}: expected ascending numbers")
    longest = int(sizes.argmax())
    if sizes[longest] > numbers[-1]:
        raise UserError(
            f"widths={[*widths]}: expected at least {sizes[longest]}, the length of "
            f"documents[{longest}]"
        )
    return numbers


def _least_padding(sizes: np.ndarray, count: int) -> tuple[int, ...]:
    """At most this many widths, with the least padding, by dynamic programming."""
    widths = np.unique(sizes)
    # Of very many lengths, those at equal distances in the order of all are candidates.
    places = np.linspace(0, len(widths) - 1, MAX_CANDIDATES).round().astype(int)
    widths = widths[np.unique(places)]
    # Number of documents up to a width, after none; in a bucket from i to j - 1, all
    # are as long as the last.
    below = np.concatenate([[0], np.searchsorted(np.sort(sizes), widths, side="right")])
    lengths = (below[None, 1:] - below[:-1, None]) * widths[None]
    cost = np.where(lengths > 0, lengths, np.inf)
    best, starts = cost[0], []
    for _ in range(min(count, len(widths)) - 1):
        # One more bucket, which begins behind the i-th candidate.
        total = best[:-1, None] + cost[1:]
        starts.append(np.append(0, total.argmin(axis=0)[1:]))
        best = np.append(np.inf, total.min(axis=0)[1:])
    found = [len(widths) - 1]
    for before in reversed(starts):
        found.append(int(before[found[-1]]))
    return tuple(widths[found[::-1]].tolist())


def _check_arrays(arrays: Arrays, count: int) -> None:
    if {"tokens", "mask"} & {*arrays}:
        raise UserError(f"arrays={[*arrays]}: expected neither 'tokens' nor 'mask'")
    if arrays and num_examples(arrays) != count:
        raise UserError(f"arrays: expected {count} rows, one for each document")


def schedule_of(
    plan: BucketPlan, seed: int, group: int, steps_per_epoch: int, shuffle: bool
) -> Callable[[int], tuple[int, np.ndarray, np.ndarray]]:
    """Function from a step to its bucket, and the documents and mask of its batch.

    Args:
      plan: Division of the documents into buckets.
      seed: Seed of the order of the documents.
      group: Number of consecutive steps of one bucket.
      steps_per_epoch: Number of batches of all buckets.
      shuffle: See `buckets`.
    """
    numbered = [
        [(bucket, i) for i in range(count)]
        for bucket, count in enumerate(plan.num_batches)
    ]
    groups = [x[i : i + group] for x in numbered for i in range(0, len(x), group)]

    def epoch_of(epoch: int) -> tuple[int, list, list[np.ndarray]]:
        if not shuffle:
            return epoch, [*itertools.chain(*groups)], [*plan.members]
        # Of no seed: see `buckets`.
        places = [x for i in order(0, epoch, len(groups)) for x in groups[i]]
        rank = np.argsort(order(seed, epoch, sum(map(len, plan.members))))
        shuffled = [found[np.argsort(rank[found])] for found in plan.members]
        return epoch, places, shuffled

    cached = epoch_of(0)

    def batch(step: int) -> tuple[int, np.ndarray, np.ndarray]:
        nonlocal cached
        epoch, i = divmod(step, steps_per_epoch)
        # One tuple is read and replaced as a whole, because threads may share it.
        known, places, members = cached
        if shuffle and known != epoch:
            known, places, members = cached = epoch_of(epoch)
        bucket, j = places[i]
        size, found = plan.batch_sizes[bucket], members[bucket]
        positions = np.arange(j * size, (j + 1) * size)
        mask = (positions < len(found)).astype(np.float32)
        return bucket, found[positions % len(found)], mask

    return batch


def _fingerprint(
    documents: Sequence[Any], arrays: Mapping[str, np.ndarray], plan: BucketPlan
) -> str:
    """Hash of the documents, of further arrays and of the shapes of the batches."""
    shapes = plan.widths, plan.batch_sizes
    total = hashlib.sha256(f"{shapes} {fingerprint(arrays)}".encode())
    for document in documents:
        ids = np.ascontiguousarray(document, np.int32)
        total.update(f"{len(ids)} ".encode())
        total.update(ids.data)
    return total.hexdigest()
