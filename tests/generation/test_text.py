"""Texts are streamed without a character, or a stop string, that is cut."""

import jax
import numpy as np
import pytest

from fdl import generation
from fdl.data.text import tokenizers
from fdl.generation import Decoder

BYTES = tokenizers.byte_tokenizer(["eos"])
CYCLE = "aé€b𝄞c\x00д"  # No byte comes twice: one follows of the other.
RAW = CYCLE.encode()


def prefill(variables, prompt, mask, max_length):
    last = mask.sum(axis=1) - 1
    return last[:, None], variables[prompt[np.arange(len(prompt)), last]]


def step(variables, cache, token):
    return cache, variables[token]


CHAIN = Decoder(prefill, step, lambda cache, rows: cache[rows], None, 300)


def table(*links):
    logits = np.full((300, 300), -99, np.float32)
    for byte, following in links or zip(RAW, RAW[1:] + RAW[:1], strict=True):
        logits[byte, following] = 0
    logits[:, 290] = 9  # What the tokenizer does not have is never taken.
    return logits


def stream(prompts, *, variables=None, **options):
    variables = table() if variables is None else variables
    options = {"max_tokens": 3 * len(RAW), **options}
    return [*generation.stream_text(CHAIN, variables, BYTES, prompts, **options)]


def test_no_character_is_cut_in_two():
    parts = stream(["a", "xb"])
    pieces = [piece for part in parts for (piece,) in part]
    assert len(parts) > 3 and "\ufffd" not in "".join(pieces)
    starts = [CYCLE.index(begin) + 1 for begin in "ab"]
    expected = [[(4 * CYCLE)[start : start + 3 * len(CYCLE)]] for start in starts]
    assert generation.joined(iter(parts)) == expected


def test_what_is_no_character_at_the_end_is_shown():
    assert generation.joined(iter(stream(["a"], max_tokens=4))) == [["é\ufffd"]]


@pytest.mark.parametrize("stop", ["b𝄞c", "€", "\x00дa"])
def test_nothing_of_a_stop_string_is_given_out(stop):
    parts = stream(["a"], stop=["not there", stop])
    text = (2 * CYCLE)[1:]
    assert generation.joined(iter(parts)) == [[text[: text.index(stop)]]]


def test_samples_end_each_on_its_own():
    ends = [(97, 98), (98, 99), (99, 256), (100, 101), (101, 100), (256, 256)]
    parts = stream(["a", "d"], variables=table(*ends), stop_tokens=[256], max_tokens=20)
    assert generation.joined(iter(parts)) == [["bc"], ["ed" * 10]]
    key = jax.random.key(0)
    found = generation.joined(iter(stream(["a", "b"], key=key, num_samples=2)))
    assert [len(texts) for texts in found] == [2, 2]


def test_the_space_behind_a_prompt_is_of_the_continuation():
    words = tokenizers.words(["to be or not"], special=["unk"])
    ids = words.encode("to be or")
    found = generation.text.decode_continuation(words, ids[:1], ids[1:])
    assert found == " be or"


def test_prompts_without_a_token_are_said():
    with pytest.raises(ValueError, match="prompt 2 is empty: expected a text"):
        stream(["a", ""])
    letters = tokenizers.characters("ab")
    with pytest.raises(ValueError, match=r"prompt 1: .*'c'"):
        generation.text.encode_prompts(letters, ["c"])
    begun = generation.text.encode_prompts(BYTES, [""], "eos")
    assert [row.tolist() for row in begun] == [[256]]
