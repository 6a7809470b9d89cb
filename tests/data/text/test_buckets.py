"""Buckets: each document once, a budget of tokens, a function of seed and step."""

from itertools import combinations, islice

import chex
import numpy as np
import pytest

from fdl.data.text import bucket_plan, buckets
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
DOCUMENTS = [RANDOM.integers(1, 9, size=n) for n in RANDOM.integers(1, 20, size=50)]
LABELS = {"label": np.arange(50, dtype=np.int32)}
BUDGET = 60
OPTIONS = {"widths": (5, 10, 20), "arrays": LABELS, "pad_token": 9}


def epoch(batches, number=0):
    steps = batches.steps_per_epoch
    return [*islice(batches.stream(number * steps), steps)]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("number", [0, 2])
def test_an_epoch_has_each_document_once_in_its_bucket(shuffle, number):
    batches = buckets(DOCUMENTS, BUDGET, seed=3, shuffle=shuffle, **OPTIONS)
    seen = []
    for batch in epoch(batches, number):
        size, width = batch["tokens"].shape
        assert (width in (5, 10, 20)) and size == BUDGET // width
        for row, label in zip(batch["tokens"], batch["label"], strict=True):
            document = DOCUMENTS[label]
            assert width // 2 < len(document) <= width or width == 5
            padding = [9] * (width - len(document))
            assert row.tolist() == [*document.tolist(), *padding]
        seen += batch["label"][batch["mask"] > 0].tolist()
        assert batch["tokens"].dtype == np.int32 and batch["mask"].dtype == np.float32
    assert sorted(seen) == [*range(50)]
    assert shuffle == (seen != sorted(seen, key=lambda i: (width_of(i), i)))


def width_of(i):
    return next(width for width in (5, 10, 20) if len(DOCUMENTS[i]) <= width)


@pytest.mark.parametrize("start", [1, 9, 30])
def test_a_stream_from_any_step_is_the_tail_of_the_whole(start):
    first, second = (buckets(DOCUMENTS, BUDGET, 1, group=2, **OPTIONS) for _ in "ab")
    whole = [*islice(first.stream(0), start + 4)]
    chex.assert_trees_all_equal(whole[start:], [*islice(second.stream(start), 4)])


def test_seeds_differ_in_documents_and_not_in_shapes():
    one, other = (epoch(buckets(DOCUMENTS, BUDGET, s, **OPTIONS)) for s in (1, 2))
    chex.assert_trees_all_equal_shapes(one, other)
    assert any(
        (a["label"] != b["label"]).any() for a, b in zip(one, other, strict=True)
    )


def test_a_group_of_steps_is_of_one_bucket():
    batches = buckets(DOCUMENTS, BUDGET, group=3, **OPTIONS)
    widths = [batch["tokens"].shape[1] for batch in epoch(batches)]
    changes = np.count_nonzero(np.diff(widths))
    counts = bucket_plan(DOCUMENTS, BUDGET, (5, 10, 20)).num_batches
    assert changes < sum(-(-count // 3) for count in counts) <= len(widths) / 2


def test_the_share_of_padding_is_that_of_the_batches():
    plan = bucket_plan(DOCUMENTS, BUDGET, 4)
    batches = epoch(buckets(DOCUMENTS, BUDGET, widths=4))
    total = sum(batch["tokens"].size for batch in batches)
    num_tokens = sum(map(len, DOCUMENTS))
    assert plan.padding_share == pytest.approx(1 - num_tokens / total)
    assert plan.padding_share < bucket_plan(DOCUMENTS, BUDGET, 1).padding_share
    assert plan.widths[-1] == max(map(len, DOCUMENTS))
    # A bucket of few documents has no larger batch than these.
    assert bucket_plan(DOCUMENTS[:2], 10_000, 1).batch_sizes == (2,)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_widths_are_those_with_the_least_padding(count):
    """Of all that there are, tried one by one."""
    sizes = np.array([1, 2, 2, 3, 5, 6, 6, 9])
    best = min(
        (
            sum(min(w for w in (*chosen, 9) if w >= n) for n in sizes)
            for chosen in combinations(sorted({*sizes} - {9}), min(count, 6) - 1)
        ),
    )
    plan = bucket_plan([np.ones(n, int) for n in sizes], 9, count)
    padded = zip(plan.widths, plan.members, strict=True)
    assert sum(width * len(members) for width, members in padded) == best


def test_other_documents_and_other_shapes_have_another_fingerprint():
    changed = [DOCUMENTS[0] + 1, *DOCUMENTS[1:]]
    strided = [np.int32(ids).repeat(2)[::2] for ids in DOCUMENTS]
    prints = {
        buckets(documents, budget, seed, widths=2).fingerprint
        for documents, budget, seed in [
            (DOCUMENTS, BUDGET, 0),
            (DOCUMENTS, BUDGET, 1),
            (strided, BUDGET, 0),
            (changed, BUDGET, 0),
            (DOCUMENTS, 2 * BUDGET, 0),
        ]
    }
    assert len(prints) == 3


@pytest.mark.parametrize(
    "documents, budget, options, message",
    [
        ([[1], []], 9, {}, r"documents\[1\]: expected tokens, got an empty document"),
        ([[1, 2, 3]], 2, {}, "budget=2: expected an integer from 3 to"),
        ([[1, 2, 3]], 9, {"widths": (1, 2)}, r"at least 3, the length of documents\[0"),
        ([[1, 2, 3]], 9, {"widths": (4, 3)}, r"widths=\[4, 3\]: expected ascending"),
        ([[1, 2, 3]], 9, {"group": 0}, "group=0"),
        ([[1, 2, 3]], 9, {"arrays": LABELS}, "arrays: expected 1 rows"),
        ([[1]], 9, {"arrays": {"mask": np.ones(1)}}, "neither 'tokens' nor 'mask'"),
    ],
)
def test_what_is_wrong_is_told(documents, budget, options, message):
    with pytest.raises(UserError, match=message):
        buckets(documents, budget, **options)
