"""Pairs of words near each other are those of loops over the words."""

import collections

import numpy as np
import pytest

from fdl.data.text import context_pairs
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
DOCUMENTS = [RANDOM.integers(0, 50, n) for n in [5, 0, 1, 200, 30]]


def counted(pairs):
    return collections.Counter(
        zip(*map(np.ndarray.tolist, pairs.values()), strict=True)
    )


def expected(documents, window):
    """All pairs of a window of one size."""
    return collections.Counter(
        (int(words[i]), int(words[j]))
        for words in documents
        for i in range(len(words))
        for j in range(max(0, i - window), min(len(words), i + window + 1))
        if i != j
    )


def test_a_window_of_one_has_the_neighbours_of_each_word():
    pairs = context_pairs(DOCUMENTS, 1)
    assert counted(pairs) == expected(DOCUMENTS, 1)
    assert {x.dtype for x in pairs.values()} == {np.dtype(np.int32)}


def test_windows_are_drawn_and_nearer_words_are_in_more_of_them():
    apart = [np.arange(20_000)]
    pairs = context_pairs(apart, 4, seed=3)
    assert not counted(pairs) - expected(apart, 4)
    distance = np.abs(pairs["center"] - pairs["context"])
    share = np.bincount(distance)[1:] / 40_000
    np.testing.assert_allclose(share, [1, 0.75, 0.5, 0.25], atol=0.02)
    assert counted(context_pairs(apart, 4, seed=4)) != counted(pairs)


def test_frequent_words_are_left_out_before_the_windows():
    words = np.where(np.arange(20_000) % 2, 0, 1 + np.arange(20_000) // 2)
    pairs = context_pairs([words], 1, threshold=0.005)
    kept = np.setdiff1d(np.arange(1, 10_001), pairs["center"])
    assert len(kept) == 0  # Rare words stay.
    # Of the frequency 0.5, a tenth stays; each has two neighbours, which are rare ones.
    frequent = (pairs["center"] == 0).sum() / 2
    assert abs(frequent / 10_000 - 0.1) < 0.01


def test_what_is_no_window_is_an_error():
    with pytest.raises(UserError, match="window=0: expected at least 1"):
        context_pairs(DOCUMENTS, 0)
    with pytest.raises(UserError, match=r"threshold=-1: expected above 0, or None"):
        context_pairs(DOCUMENTS, 1, threshold=-1)
