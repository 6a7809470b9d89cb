"""Pairs in buckets: each once, a budget for each side, a function of seed and step."""

from itertools import islice

import chex
import numpy as np
import pytest

from fdl.data.text import pair_buckets
from fdl.data.text.pair_buckets import pair_plan
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
SIZES = RANDOM.integers(1, 15, size=(50, 2))
# The first token of each source and the second of each target number the pair.
SOURCES = [np.append(i, RANDOM.integers(50, 99, n)) for i, n in enumerate(SIZES[:, 0])]
TARGETS = [
    np.concatenate([[98, i], RANDOM.integers(50, 99, n)])
    for i, n in enumerate(SIZES[:, 1])
]
BUDGET, PAD = 40, 99
OPTIONS = {"widths": 3, "pad_token": PAD}


def epoch(batches, number=0):
    steps = batches.steps_per_epoch
    return [*islice(batches.stream(number * steps), steps)]


@pytest.mark.parametrize("shuffle, number", [(True, 0), (True, 2), (False, 1)])
def test_an_epoch_has_each_pair_once_and_no_side_exceeds_the_budget(shuffle, number):
    batches = pair_buckets(SOURCES, TARGETS, BUDGET, 3, shuffle=shuffle, **OPTIONS)
    seen = []
    for batch in epoch(batches, number):
        source, target, mask = (batch[name] for name in ("source", "target", "mask"))
        assert source.size <= BUDGET and target[:, 1:].size <= BUDGET
        assert source.dtype == target.dtype == np.int32 and mask.dtype == np.float32
        for row, other in zip(source.tolist(), target.tolist(), strict=True):
            i = row[0]
            padding = len(row) - len(SOURCES[i]), len(other) - len(TARGETS[i])
            assert row == [*SOURCES[i].tolist(), *[PAD] * padding[0]]
            assert other == [*TARGETS[i].tolist(), *[PAD] * padding[1]]
        seen += source[mask > 0, 0].tolist()
    assert sorted(seen) == [*range(50)]


def test_rows_are_as_many_as_the_budget_allows_and_no_longer_than_the_longest():
    plan = pair_plan(SOURCES, TARGETS, BUDGET, (8, 15))
    batches = pair_buckets(SOURCES, TARGETS, BUDGET, widths=(8, 15), shuffle=False)
    lengths = np.array([[*map(len, SOURCES)], [len(x) - 1 for x in TARGETS]]).T
    short = lengths.max(axis=1) <= 8
    expected = [(40 // 8, *lengths[short].max(axis=0))]
    expected += [(40 // 15, *lengths[~short].max(axis=0))]
    found = {
        (len(x["mask"]), x["source"].shape[1], x["target"].shape[1] - 1)
        for x in epoch(batches)
    }
    assert found == {*expected} and len(plan.lengths) == 2
    total = sum(x["source"].size + x["target"][:, 1:].size for x in epoch(batches))
    assert plan.padding_share == pytest.approx(1 - lengths.sum() / total)
    assert batches.per_step == lengths[:, 1].sum() // batches.steps_per_epoch


@pytest.mark.parametrize("start", [1, 9, 30])
def test_a_stream_from_any_step_is_the_tail_of_the_whole(start):
    first, second = (
        pair_buckets(SOURCES, TARGETS, BUDGET, 1, group=2, **OPTIONS) for _ in "ab"
    )
    whole = [*islice(first.stream(0), start + 4)]
    chex.assert_trees_all_equal(whole[start:], [*islice(second.stream(start), 4)])


def test_seeds_differ_in_pairs_and_not_in_shapes():
    one, other = (
        epoch(pair_buckets(SOURCES, TARGETS, BUDGET, seed, **OPTIONS))
        for seed in (1, 2)
    )
    chex.assert_trees_all_equal_shapes(one, other)
    firsts = [[batch["source"][0, 0] for batch in batches] for batches in (one, other)]
    assert firsts[0] != firsts[1]


def test_other_pairs_have_another_fingerprint():
    changed = [TARGETS[0] - 1, *TARGETS[1:]]
    prints = [
        pair_buckets(sources, targets, budget, seed, **OPTIONS).fingerprint
        for sources, targets, budget, seed in [
            (SOURCES, TARGETS, BUDGET, 0),
            (SOURCES, TARGETS, BUDGET, 1),
            (SOURCES, changed, BUDGET, 0),
            (SOURCES, TARGETS, 2 * BUDGET, 0),
            (TARGETS, [*SOURCES[1:], SOURCES[0]], BUDGET, 0),
        ]
    ]
    assert prints[0] == prints[1] and len({*prints}) == 4


def test_one_pair_is_a_batch():
    (batch,) = epoch(pair_buckets([[4]], [[1, 2]], 9, widths=4, pad_token=PAD))
    assert [x.tolist() for x in batch.values()] == [[[4]], [[1, 2]], [1.0]]


@pytest.mark.parametrize(
    "sources, targets, budget, message",
    [
        ([[1]], [], 9, "^sources, targets: expected pairs, got 1 and 0"),
        ([], [], 9, "expected at least one, got none"),
        ([[1], []], [[1, 2], [1, 2]], 9, r"^sources\[1\]: expected at least one token"),
        ([[1], []], [[1, 2], [1]], 9, r"^sources\[1\]: expected at least one token"),
        ([[1], [1]], [[1, 2], [1]], 9, r"^targets\[1\]: expected at least two tokens"),
        ([[1]], [[1, 2, 3, 4]], 2, "^budget=2: expected an integer from 3 to"),
        ([[1.5]], [[1, 2]], 9, r"expected token ids, int \[T\]"),
    ],
)
def test_what_is_wrong_is_told(sources, targets, budget, message):
    with pytest.raises(UserError, match=message):
        pair_buckets(sources, targets, budget)
