"""Texts are translated as one by one, whatever is in the batch beside them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.data.text import tokenizers
from fdl.errors import UserError
from fdl.generation import Decoder, gnmt, translate

LETTERS = tokenizers.characters("abcdef", ["pad", "bos", "eos"])
EOS = LETTERS.special["eos"]
OUTPUTS = 12  # Of the model: three more than there are tokens, and the most likely.


def logits_of(variables, cache):
    """Each letter becomes the next one or the one after, the end the end."""
    source, length, place = cache
    letter = jnp.take_along_axis(source, place[:, None], axis=1)
    rows = jnp.tile(variables["others"], (len(place), 1))
    at_end = (place >= length - 1)[:, None]
    ids = jnp.arange(OUTPUTS)[None]
    second = variables["second"] - 0.3 * place[:, None]
    rows = jnp.where((ids == (letter + 2) % 6) & ~at_end, second, rows)
    return jnp.where(ids == jnp.where(at_end, EOS, (letter + 1) % 6), 3.0, rows)


def prefill(variables, prompt, mask, max_length, source, source_mask):
    cache = source, source_mask.sum(axis=1), jnp.zeros(len(source), jnp.int32)
    return cache, logits_of(variables, cache)


def step(variables, cache, token):
    cache = *cache[:2], cache[2] + 1
    return cache, logits_of(variables, cache)


def reorder(cache, rows):
    return jax.tree.map(lambda x: x[rows], cache)


SHIFT = Decoder(prefill, step, reorder, None, OUTPUTS)
OTHERS = np.full((1, OUTPUTS), -5, np.float32)
OTHERS[:, LETTERS.vocab_size :] = 9
VARIABLES = {"others": OTHERS, "second": np.float32(2.0)}
TEXTS = ["abc", "", "f", "abcdefabcdef", "ab"]
EXPECTED = ["bcd", "", "a", "bcdefabcdefa", "bc"]


def translated(texts, variables=VARIABLES, **options):
    options = {"num_beams": 3, "max_extra": 4, "batch_size": 2, **options}
    return translate(SHIFT, variables, texts, LETTERS, **options)


def test_translations_are_in_the_order_of_the_texts():
    assert [best.text for best, *_ in translated(TEXTS)] == EXPECTED
    assert translated([]) == []


@pytest.mark.parametrize("i", [1, 4])
def test_a_text_alone_has_the_translation_that_it_has_beside_others(i):
    (alone,) = translated([TEXTS[i]], num_best=3)
    beside = translated(TEXTS, num_best=3)[i]
    for one, other in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(one.tokens, other.tokens)
        assert one.text == other.text
        assert one.score == pytest.approx(other.score, abs=1e-5)


def test_the_best_translations_and_their_scores_are_those_by_hand():
    (found,) = translated(["ab"], num_best=3)
    assert [x.text for x in found] == ["bc", "cc", "bd"]
    rows = np.tile(OTHERS, (3, 1)).astype(float)
    for place, (best, second) in enumerate(((1, 2), (2, 3), (EOS, None))):
        rows[place, best] = 3
        if second is not None:
            rows[place, second] = 2 - 0.3 * place
    log_probs = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    for one, ids in zip(found, ([1, 2], [2, 2], [1, 3]), strict=True):
        assert one.tokens.tolist() == ids
        expected = log_probs[range(3), [*ids, EOS]].sum() / gnmt()(3.0)
        assert one.score == pytest.approx(float(expected), rel=1e-5)


def test_there_are_no_more_translations_than_are_possible():
    impossible = np.full_like(OTHERS, -np.inf)
    variables = {"others": impossible, "second": np.float32(-np.inf)}
    (found,) = translated(["ab"], variables, num_best=3)
    assert [x.text for x in found] == ["bc"]


def test_a_translation_that_does_not_end_is_cut():
    endless = np.where(np.arange(OUTPUTS)[None] == 4, 9, -5).astype(np.float32)
    ((best,),) = translated([""], {**VARIABLES, "others": endless})
    assert best.text == "e" * (8 + 4)  # The least width, and four more.


@pytest.mark.parametrize(
    "texts, options, message",
    [
        ("abc", {}, "^texts: expected a sequence of texts, got a single one"),
        (["a", "xyz"], {}, "^text 2: text: 'x' at character 0"),
        (["a"], {"num_best": 4}, "^num_best=4: expected 1 to 3, as num_beams=3"),
        (["a"], {"num_best": 0}, "^num_best=0: expected 1 to 3"),
        (["a"], {"batch_size": 0}, "^batch_size=0, max_extra=4: expected at least 1"),
        (["a"], {"begin": "cls"}, "^'cls': expected a role that the tokenizer"),
    ],
)
def test_what_is_wrong_is_told(texts, options, message):
    with pytest.raises(UserError, match=message):
        translated(texts, **options)
