"""N-gram models: the recursion of Witten and Bell, counted with dictionaries."""

from collections import Counter

import numpy as np
import pytest

from fdl.errors import UserError
from fdl.experiment.ngrams import ngram_log_likelihood

TRAIN = [0, 1, 2, 0, 1, 1, 0, 2, 2, 0, 1, 2]
HELD_OUT = [1, 0, 3, 0, 1, 2, 3, 3]


def probability(word, context, train, vocab_size):
    """P(word | context) by the definition."""
    shorter = (
        probability(word, context[1:], train, vocab_size) if context else 1 / vocab_size
    )
    n = len(context)
    padded = [None] * n + list(train)
    seen = Counter(
        padded[i + n]
        for i in range(len(train))
        if tuple(padded[i : i + n]) == tuple(context)
    )
    if not seen:
        return shorter
    return (seen[word] + len(seen) * shorter) / (seen.total() + len(seen))


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_it_is_the_recursion_of_witten_and_bell(order):
    tokens = TRAIN + HELD_OUT
    expected = [
        np.log(probability(tokens[i], tuple(tokens[i - order + 1 : i]), TRAIN, 4))
        for i in range(len(TRAIN), len(tokens))
    ]
    actual = ngram_log_likelihood(np.array(TRAIN), np.array(HELD_OUT), order, 4)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("order", [1, 4])
def test_probabilities_of_all_tokens_sum_to_one(order):
    total = sum(
        np.exp(ngram_log_likelihood(np.array(TRAIN), np.array([1, 0, w]), order, 4)[-1])
        for w in range(4)
    )
    assert total == pytest.approx(1, abs=1e-12)


def test_nothing_seen_is_a_uniform_distribution():
    actual = ngram_log_likelihood(np.array([], int), np.array([2, 0]), 3, 4)
    np.testing.assert_allclose(actual, np.log([1 / 4] * 2))


def test_an_order_of_zero_is_refused():
    with pytest.raises(UserError, match="order=0: expected at least 1"):
        ngram_log_likelihood(np.array(TRAIN), np.array(HELD_OUT), 0, 4)
