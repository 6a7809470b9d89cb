"""Likelihoods of texts are those of the definition, whatever their length."""

import jax.numpy as jnp
import numpy as np
import pytest

from fdl import data, evaluation, models
from fdl.data.text import tokenizers
from fdl.types import Model

ALPHABET = tokenizers.characters("abcdefg", ["pad", "bos"])
TEXTS = ["abc", "", "gfedcbaabcdefgggab", "a"]


def apply(variables, tokens):
    """A language model whose logits depend on all tokens so far."""
    total = jnp.cumsum(tokens + 1, axis=1)[..., None].astype(jnp.float32)
    return jnp.sin(total * variables), {}


MODEL = Model(lambda key: None, apply)
WAVES = np.float32(np.random.RandomState(0).normal(size=(1, 1, 9)))


def by_hand(ids, context):
    """Sum over the tokens but the first, each given `context(i)` tokens before it."""
    total = 0.0
    for i in range(1, len(ids)):
        seen = np.sum(np.float64(ids[context(i) : i]) + 1)
        logits = np.sin(seen * np.float64(WAVES[0, 0]))
        total += logits[ids[i]] - np.log(np.exp(logits).sum())
    return total


def encoded(texts=TEXTS):
    return [ALPHABET.encode(text) for text in texts]


@pytest.mark.parametrize("begin, added", [(None, []), ("bos", [8])])
def test_the_ability_scores_texts_without_their_padding(begin, added):
    preprocessing = data.preprocessing.text(ALPHABET, 20, begin=begin)
    ability = evaluation.language_model(MODEL, preprocessing)
    inputs = data.encoder(preprocessing)(TEXTS)
    found = evaluation.predict(ability, WAVES, inputs)
    ids = [np.append(added, row).astype(int) for row in encoded()]
    expected = [by_hand(row, lambda i: 0) for row in ids]
    np.testing.assert_allclose(found["log_likelihood"], expected, atol=1e-5)
    assert found["num_tokens"].tolist() == [max(0, len(row) - 1) for row in ids]


@pytest.mark.parametrize("window, stride", [(4, None), (4, 4), (5, 1), (30, 7)])
def test_a_sliding_window_counts_each_token_once(window, stride):
    found, counts = evaluation.log_likelihoods(
        MODEL, WAVES, encoded(), window=window, stride=stride
    )
    step = 2 if stride is None else stride

    def context(i):
        # The first window of all that have the token as a target.
        return step * max(0, -(-(i - window) // step))

    expected = [by_hand(ids, context) for ids in encoded()]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert counts.tolist() == [2, 0, 17, 0]


def test_padding_need_not_be_a_token_of_the_model():
    preprocessing = data.preprocessing.text(tokenizers.characters("ab", ["pad"]), 4)
    network = models.GPT(1, 2, 8, vocab_size=2, max_length=8)
    evaluation.language_model(models.functional(network), preprocessing)
    large = data.preprocessing.text(ALPHABET, 4)
    with pytest.raises(ValueError, match=r"of 9 tokens: expected .*vocab_size=2"):
        evaluation.language_model(models.functional(network), large)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"window": 4, "stride": 5}, "stride=5: expected 1 to 4, as window=4"),
        ({"window": 4, "stride": 0}, "stride=0: expected"),
        ({"window": 0}, "window=0: expected at least 1"),
    ],
)
def test_windows_that_leave_tokens_out_are_said(options, message):
    with pytest.raises(ValueError, match=message):
        evaluation.log_likelihoods(MODEL, WAVES, encoded(), **options)


def test_a_window_beyond_the_positions_of_the_model_is_said_also_of_short_texts():
    model = models.functional(models.GPT(1, 1, 2, vocab_size=9, max_length=4))
    with pytest.raises(ValueError, match="window=5: expected at most 4, the positions"):
        evaluation.log_likelihoods(model, {}, encoded(["ab"]), window=5)
