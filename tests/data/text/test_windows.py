"""Windows and streams of a corpus are a pure function of the seed and the step."""

import importlib
from itertools import islice, pairwise

import chex
import jax
import numpy as np
import pytest

from fdl.data.text import streams, windows
from fdl.errors import UserError

TOKENS = np.random.default_rng(0).permutation(60_000)[:101].astype(np.uint16)
MODULE = importlib.import_module("fdl.data.text.windows")


@pytest.fixture(params=["on the device", "read ahead"])
def place(request, monkeypatch):
    if request.param == "read ahead":
        monkeypatch.setattr(MODULE, "MAX_ON_DEVICE", 0)
    return request.param


def taken(batches, start, num_steps):
    take, data = jax.jit(batches.take), jax.device_put(batches.data)
    items = islice(batches.stream(start), num_steps)
    return [jax.device_get(take(data, item)) for item in items]


def test_random_windows_are_pieces_of_the_corpus_from_anywhere(place):
    batches = windows(TOKENS, 5, 7, seed=3)
    rows = np.concatenate([batch["tokens"] for batch in taken(batches, 0, 60)])
    pieces = np.lib.stride_tricks.sliding_window_view(TOKENS.astype(np.int32), 6)
    starts = [int(np.flatnonzero(row[0] == TOKENS)[0]) for row in rows]
    np.testing.assert_array_equal(rows, pieces[starts])
    # Of 420 draws, each of 96 windows is missed with a probability of 1.2 %.
    assert {0, 95} < {*starts} and len({*starts}) > 85
    assert (batches.per_step, batches.unit, batches.steps_per_epoch) == (
        35,
        "tokens",
        3,
    )


def test_starts_never_change_and_each_is_as_likely():
    """Runs are resumed years later: these are the numbers of Philox4x64-10."""
    batches = windows(TOKENS, 1, 4, seed=5)
    raw = np.random.Philox(
        key=np.array([5, 2], np.uint64), counter=[0, 0, 0, 1]
    ).random_raw(4)
    expected = [(int(x) >> 11) * 100 >> 53 for x in raw]
    (item,) = islice(batches.stream(2), 1)
    assert item["start"].tolist() == expected and item["start"].dtype == np.int32
    starts = next(windows(TOKENS, 91, 5000).stream(0))["start"]
    counts = np.bincount(starts, minlength=10)
    # Nine degrees of freedom: chi-squared exceeds 33.7 once in ten thousand times.
    assert ((counts - 500) ** 2 / 500).sum() < 33.7


@pytest.mark.parametrize("length, batch_size", [(5, 7), (5, 4), (33, 1), (100, 3)])
def test_in_order_each_target_counts_once(place, length, batch_size):
    batches = windows(TOKENS, length, batch_size, shuffle=False)
    epoch = taken(batches, batches.steps_per_epoch, batches.steps_per_epoch)
    pairs = []
    for batch in epoch:
        x, y = batch["tokens"][:, :-1], batch["tokens"][:, 1:]
        weights = batch.get("mask", np.ones_like(batch["tokens"]))[:, 1:] > 0
        pairs += zip(x[weights].tolist(), y[weights].tolist(), strict=True)
    assert pairs == list(zip(TOKENS[:-1].tolist(), TOKENS[1:].tolist(), strict=True))
    assert ("mask" in epoch[0]) == (100 % (length * batch_size) > 0)


def test_streams_go_on_where_the_batch_before_has_ended(place):
    batches = streams(TOKENS, 3, 4)
    assert (batches.steps_per_epoch, batches.per_step) == (8, 12)
    epochs = taken(batches, 0, 16)
    assert [batch["reset"].tolist() for batch in epochs] == 2 * (
        [[True] * 4] + 7 * [[False] * 4]
    )
    chex.assert_trees_all_equal(epochs[:8], epochs[8:])
    for before, after in pairwise(epochs[:8]):
        np.testing.assert_array_equal(before["tokens"][:, -1], after["tokens"][:, 0])
    # End to end, the streams are the corpus but for its end.
    targets = np.concatenate([batch["tokens"][:, 1:] for batch in epochs[:8]], axis=1)
    np.testing.assert_array_equal(targets.ravel(), TOKENS[1:97])


@pytest.mark.parametrize(
    "make",
    [
        lambda: windows(TOKENS, 5, 7, seed=2),
        lambda: windows(TOKENS, 5, 7, shuffle=False),
        lambda: streams(TOKENS, 3, 4),
    ],
    ids=["at random", "in order", "streams"],
)
def test_wherever_tokens_lie_a_stream_is_the_tail_of_the_whole(make, monkeypatch):
    near = make()
    monkeypatch.setattr(MODULE, "MAX_ON_DEVICE", 0)
    far = make()
    whole = taken(near, 0, 9)
    for batches in (near, far):
        chex.assert_trees_all_equal(whole[4:], taken(batches, 4, 5))
        chex.assert_trees_all_equal_dtypes(whole[4:], taken(batches, 4, 5))
    assert far.data is None and near.data["tokens"].dtype == np.uint16


def test_a_memory_map_is_read_where_it_lies(tmp_path, monkeypatch):
    TOKENS.tofile(tmp_path / "tokens")
    mapped = np.memmap(tmp_path / "tokens", np.uint16, "r")
    assert windows(mapped, 5, 7).data["tokens"] is mapped
    monkeypatch.setattr(MODULE, "MAX_ON_DEVICE", 0)
    prints = {windows(x, 5, 7).fingerprint for x in (mapped, TOKENS)}
    changed = TOKENS.copy()
    changed[50] += 1
    assert len(prints) == 1 and windows(changed, 5, 7).fingerprint not in prints


def test_a_seed_decides_the_windows_and_nothing_else():
    one, other = (windows(TOKENS, 5, 7, seed=seed) for seed in (1, 2))
    assert (next(one.stream(0))["start"] != next(other.stream(0))["start"]).any()
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: windows(TOKENS, 101, 2), "length=101: expected an integer from 1 to"),
        (lambda: windows(TOKENS, 0, 2), "length=0"),
        (lambda: windows(TOKENS, 5, 0), "batch_size=0"),
        (lambda: windows(TOKENS, 5, 2, seed=-1), "seed=-1"),
        (lambda: windows(TOKENS[:1], 1, 1), "tokens: expected at least 2, got 1"),
        (lambda: windows(TOKENS * 0.5, 1, 1), "expected token ids, int .N., got float"),
        (lambda: windows(TOKENS[None], 1, 1), "got uint16 .1, 101."),
        (lambda: windows(np.array([3, -1]), 1, 1), "expected ids from 0 on, got -1"),
        (lambda: windows(np.array([3, 2**40]), 1, 1), "within 32 bits"),
        (lambda: streams(TOKENS, 30, 4), "batch_size=4, length=30: expected at most"),
    ],
)
def test_what_is_wrong_is_told(make, message):
    with pytest.raises(UserError, match=message):
        make()
