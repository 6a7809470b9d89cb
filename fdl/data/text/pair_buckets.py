"""Bucketing of pairs of texts by length, with a budget of tokens for each side."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fdl.config import in_range
from fdl.data.text.buckets import BucketPlan, bucket_plan, schedule_of
from fdl.data.text.packing import MAX_LENGTH
from fdl.errors import UserError
from fdl.types import Batch, Batches


class PairPlan(NamedTuple):
    """Division of pairs into buckets.

    Attributes:
      buckets: Division by the length of the longer side.
      lengths: Lengths of the rows of each bucket, of the source and of the target, as
        long as the longest in it.
      num_tokens: Number of tokens of all pairs, of the source and of the target.
    """

    buckets: BucketPlan
    lengths: tuple[tuple[int, int], ...]
    num_tokens: tuple[int, int]

    @property
    def padding_share(self) -> float:
        """Share of padding in the batches of an epoch, both sides together."""
        shapes = zip(self.buckets.num_batches, self.buckets.batch_sizes, strict=True)
        rows = (count * size for count, size in shapes)
        sizes = zip(rows, self.lengths, strict=True)
        return 1 - sum(self.num_tokens) / sum(n * sum(both) for n, both in sizes)


def pair_plan(
    sources: Sequence[Any],
    targets: Sequence[Any],
    budget: int,
    widths: int | Sequence[int] = 4,
) -> PairPlan:
    """Division of pairs into buckets by their length; see `pair_buckets`.

    Example:
      >>> plan = pair_plan([[1], [2, 3]], [[4, 5], [6, 7, 8]], 4, widths=1)
      >>> plan.buckets.widths, plan.lengths, plan.padding_share
      ((2,), ((2, 2),), 0.25)
    """
    if len(sources) != len(targets):
        raise UserError(
            f"sources, targets: expected pairs, got {len(sources)} and {len(targets)}"
        )
    # A target has one token less on either side of the model than in the data.
    sizes = np.array([[len(a) for a in sources], [len(b) - 1 for b in targets]])
    if (sizes < 1).any():
        side, row = np.argwhere(sizes < 1)[0]
        name, least = (("sources", "one token"), ("targets", "two tokens"))[side]
        raise UserError(f"{name}[{row}]: expected at least {least}")
    pairs = zip(sources, targets, strict=True)
    longer = [a if len(a) >= len(b) - 1 else b[1:] for a, b in pairs]
    plan = bucket_plan(longer, budget, widths)
    lengths = tuple(
        (int(sizes[0, found].max()), int(sizes[1, found].max()))
        for found in plan.members
    )
    return PairPlan(plan, lengths, tuple(sizes.sum(axis=1).tolist()))


def pair_buckets(
    sources: Sequence[Any],
    targets: Sequence[Any],
    budget: int,
    seed: int = 0,
    *,
    widths: int | Sequence[int] = 4,
    pad_token: int = 0,
    group: int = 1,
    shuffle: bool = True,
) -> Batches:
    """Batches of pairs of similar length, with a budget of tokens for each side.

    As `buckets`, by the length of the longer side: ``{"source": int32 [B, S],
    "target": int32 [B, T + 1], "mask": float32 [B]}``. B is as many rows as the budget
    allows of S and of T tokens, which are the longest of their bucket; both sides are
    padded on the right.

    Args:
      sources: Token ids of each source, integers [S_i], not empty.
      targets: Token ids of each target, integers [T_i + 1]: its first token is none to
        predict, and its last none to predict from, so that it counts T_i.
      budget: Number of tokens of each side of a batch, padding included; at least the
        largest width.
      seed: Seed of the order, in [0, 2**64).
      widths: Widths of the buckets, ascending; or their number.
      pad_token: Token id of padding.
      group: Number of consecutive steps of one bucket; see `buckets`.
      shuffle: True to shuffle pairs and groups in each epoch.

    Returns:
      Batches without end, in units of tokens: the mean number of tokens to predict in a
      batch. `pair_plan` tells the share of padding.

    Raises:
      UserError: There are not as many sources as targets, one is too short or too long,
        or an argument is not valid.

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_,
      2017, section 5.1: batches of about 25,000 tokens of each side.
    """
    plan = pair_plan(sources, targets, budget, widths)
    seed = in_range("seed", seed, 0, 2**64 - 1)
    group = in_range("group", group, 1, MAX_LENGTH)
    pad_token = in_range("pad_token", pad_token, 0, 2**31 - 1)
    steps = sum(plan.buckets.num_batches)
    schedule = schedule_of(plan.buckets, seed, group, steps, shuffle)

    def rows(side: Sequence[Any], index: np.ndarray, length: int) -> np.ndarray:
        tokens = np.full((len(index), length), pad_token, np.int32)
        for row, i in enumerate(index):
            tokens[row, : len(side[i])] = side[i]
        return tokens

    def item(step: int) -> Batch:
        bucket, index, mask = schedule(step)
        length, target_length = plan.lengths[bucket]
        return {
            "source": rows(sources, index, length),
            "target": rows(targets, index, target_length + 1),
            "mask": mask,
        }

    def stream(start: int) -> Iterator[Batch]:
        return map(item, itertools.count(start))

    return Batches(
        stream,
        unit="tokens",
        per_step=plan.num_tokens[1] // steps,
        steps_per_epoch=steps,
        fingerprint=_fingerprint(sources, targets, plan),
    )


def _fingerprint(sources: Sequence[Any], targets: Sequence[Any], plan: PairPlan) -> str:
    """Hash of the tokens of all pairs and of the shapes of the batches."""
    shapes = plan.lengths, plan.buckets.batch_sizes
    total = hashlib.sha256(str(shapes).encode())
    for tokens in itertools.chain(sources, targets):
        ids = np.ascontiguousarray(tokens, np.int32)
        total.update(f"{len(ids)} ".encode())
        total.update(ids.data)
    return total.hexdigest()
