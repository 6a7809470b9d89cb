"""N-gram models: the recursion of Witten and Bell, counted with dictionaries."""

from collections import Counter

import numpy as np
import pytest

import fdl
from fdl.data import Splits
from fdl.errors import UserError
from fdl.experiment.ngrams import ngram_log_likelihoods, with_ngrams

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


def test_it_is_the_recursion_of_witten_and_bell():
    tokens = TRAIN + HELD_OUT
    expected = [
        [
            np.log(probability(tokens[i], tuple(tokens[i - order + 1 : i]), TRAIN, 4))
            for i in range(len(TRAIN), len(tokens))
        ]
        for order in range(1, 7)
    ]
    actual = ngram_log_likelihoods(np.array(TRAIN), np.array(HELD_OUT), 6, 4)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_probabilities_of_all_tokens_sum_to_one():
    total = sum(
        np.exp(ngram_log_likelihoods(np.array(TRAIN), np.array([1, 0, w]), 4, 4)[:, -1])
        for w in range(4)
    )
    np.testing.assert_allclose(total, 1, atol=1e-12)


def test_nothing_seen_is_a_uniform_distribution():
    actual = ngram_log_likelihoods(np.array([], int), np.array([2, 0]), 3, 4)
    np.testing.assert_allclose(actual, np.log(np.full((3, 2), 1 / 4)))


def test_an_order_of_zero_is_refused():
    with pytest.raises(UserError, match="order=0: expected at least 1"):
        ngram_log_likelihoods(np.array(TRAIN), np.array(HELD_OUT), 0, 4)


def test_losses_stand_beside_those_of_an_experiment():
    arrays = Splits(np.array(TRAIN), np.array(HELD_OUT), np.array(HELD_OUT[:3]))
    experiment = fdl.Experiment(
        fdl.monte_carlo(lambda key: {}),
        fdl.data.no_data(),
        lambda variables: {"loss": 1.0},
        test=lambda variables: {"loss": 2.0},
    )
    beside = with_ngrams(experiment, arrays, 4, order=2)
    for part, evaluate, loss in (
        (HELD_OUT, beside.evaluate, 1.0),
        (HELD_OUT[:3], beside.test, 2.0),
    ):
        expected = -ngram_log_likelihoods(np.array(TRAIN), np.array(part), 2, 4).mean(
            axis=1
        )
        found = evaluate({})
        assert found["loss"] == loss
        assert found["1_gram_loss"] == pytest.approx(expected[0])
        assert found["2_gram_loss"] == pytest.approx(expected[1])
        assert found["ahead_of_ngrams"] == pytest.approx(expected.min() - loss)
