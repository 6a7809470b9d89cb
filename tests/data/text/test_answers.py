"""Prompts with answers: what is read, what counts, and what is wrong, with its line."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import objectives
from fdl.data.text import (
    Answer,
    num_cut,
    pack_answers,
    pad_preferences,
    read_answers,
    read_preferences,
    tokenizers,
)
from fdl.data.text.tokenizers import byte_pair, from_file, with_pad
from fdl.errors import DataWarning, UserError
from fdl.types import Model

TOKENIZER = tokenizers.characters("abcdefgh", ["pad", "bos", "eos"])
PAD, BOS, EOS = 8, 9, 10


def write(path, *rows):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.fixture
def answers(tmp_path):
    rows = [
        {"prompt": "ab", "answer": "cd", "more": 1},
        "",
        {"text": "efg"},
        {"prompt": "", "answer": "h"},
    ]
    return read_answers(write(tmp_path / "a.jsonl", *rows), TOKENIZER, "bos", "eos")


def test_prompts_and_answers_are_read_with_what_begins_and_ends_them(answers):
    assert [(p.tolist(), a.tolist()) for p, a in answers] == [
        ([BOS, 0, 1], [2, 3, EOS]),
        ([BOS], [4, 5, 6, EOS]),
        ([BOS], [7, EOS]),
    ]


def test_only_tokens_of_answers_count_in_the_loss(answers):
    rows = pack_answers(answers, 12)
    assert rows["tokens"].tolist() == [
        [BOS, 0, 1, 2, 3, EOS, BOS, 4, 5, 6, EOS, 0],
        [BOS, 7, EOS] + 9 * [0],
    ]
    assert rows["segments"].tolist() == [6 * [1] + 5 * [2] + [0], 3 * [1] + 9 * [0]]
    table = np.random.default_rng(0).normal(size=(11, 11)).astype(np.float32)
    model = Model(
        lambda key: {},
        lambda variables, tokens, segments, **_: (jnp.asarray(table)[tokens], {}),
    )
    objective = jax.jit(objectives.language_modelling(model))
    loss, (_, found) = objective({"params": {}}, rows)
    log_probs = table - np.log(np.exp(table).sum(axis=1, keepdims=True))
    pairs = [(1, 2), (2, 3), (3, EOS), (BOS, 4), (4, 5), (5, 6), (6, EOS)]
    pairs += [(BOS, 7), (7, EOS)]
    expected = -np.mean([log_probs[pair] for pair in pairs])
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert found["loss"].weight == len(pairs)


def test_what_is_too_long_keeps_the_end_of_a_prompt_and_the_beginning_of_an_answer(
    tmp_path,
):
    rows = [
        {"prompt": "abcdefgh", "answer": "ab"},
        {"prompt": "ab", "answer": "abcdefgh"},
        {"prompt": "abcdefgh", "answer": "abcdefgh"},
        {"prompt": "a", "answer": "b"},
    ]
    answers = read_answers(write(tmp_path / "a.jsonl", *rows), TOKENIZER)
    assert num_cut(answers, 6) == 3
    packed = pack_answers(answers, 6)
    assert packed["tokens"].tolist() == [
        [4, 5, 6, 7, 0, 1],
        [0, 1, 0, 1, 2, 3],
        [5, 6, 7, 0, 1, 2],
        [0, 1, 0, 0, 0, 0],
    ]
    assert packed["answer"].sum(axis=1).tolist() == [2, 4, 3, 1]


def test_preferences_are_padded_rows_with_masks_of_both_answers(tmp_path):
    row = {"prompt": "ab", "chosen": "cd", "rejected": "e"}
    pairs = read_preferences(write(tmp_path / "p.jsonl", row), TOKENIZER, "bos", "eos")
    rows = {name: x.tolist() for name, x in pad_preferences(pairs, 7).items()}
    assert rows == {
        "chosen": [[BOS, 0, 1, 2, 3, EOS, 0]],
        "rejected": [[BOS, 0, 1, 4, EOS, 0, 0]],
        "chosen_mask": [[0, 0, 0, 1, 1, 1, 0]],
        "rejected_mask": [[0, 0, 0, 1, 1, 0, 0]],
    }


def test_a_pair_that_does_not_fit_keeps_one_prompt():
    prompt = np.arange(10)
    pair = Answer(prompt, np.array([1, 2])), Answer(prompt, np.arange(5))
    same = Answer(prompt, np.arange(9)), Answer(prompt, np.arange(10))
    with pytest.warns(
        DataWarning, match="1 of 2 pairs are left out: their answers dif"
    ):
        rows = pad_preferences([pair, same], 8)
    assert rows["chosen"].tolist() == [[6, 7, 8, 9, 1, 2, 0, 0]]
    assert rows["rejected"].tolist() == [[6, 7, 8, 9, 0, 1, 2, 3]]
    with (
        pytest.warns(DataWarning),
        pytest.raises(UserError, match="length=8: expected pairs that differ within"),
    ):
        pad_preferences([same], 8)


GOOD = {"prompt": "a", "answer": "b"}


@pytest.mark.parametrize(
    "rows, message",
    [
        ([GOOD, "{"], ":2: Expecting"),
        ([GOOD, "[1]"], ":2: no JSON object"),
        ([GOOD, "[" * 100_000], ":2: nested too deeply"),
        (["", {"promt": "a", "answer": "b"}], "'prompt'. Did you mean 'promt'?"),
        ([{}], ":1: expected {prompt, answer} or {text}; there is no 'prompt'"),
        ([{"prompt": 1, "answer": "b"}], ":1: 'prompt' of type int: expected a text"),
        ([{"prompt": "a", "answer": "z"}], ":1: text: 'z' at character 0"),
        ([{"prompt": "a", "answer": ""}], "at least two tokens, got an empty one"),
        ([{"text": "a"}], "at least two tokens"),
        ([{"prompt": "", "answer": ""}], "at least two tokens"),
        ([r'{"text": "a\ud800"}'], ":1: text: expected Unicode"),
        ([], "expected rows of JSON, got none"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_number(rows, message, tmp_path):
    with pytest.raises(UserError) as error:
        read_answers(write(tmp_path / "a.jsonl", *rows), TOKENIZER)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_files_that_are_none_and_equal_answers_are_one_line(tmp_path):
    with pytest.raises(UserError, match="expected a file"):
        read_answers(tmp_path / "missing.jsonl", TOKENIZER)
    (tmp_path / "latin.jsonl").write_bytes(b'{"text": "\xe9"}')
    with pytest.raises(UserError, match="1: expected text in UTF-8, got 0xe9"):
        read_answers(tmp_path / "latin.jsonl", TOKENIZER)
    row = {"prompt": "a", "chosen": "b", "rejected": "b"}
    with pytest.raises(UserError, match="1: expected two different answers"):
        read_preferences(write(tmp_path / "p.jsonl", row), TOKENIZER)


def test_a_published_tokenizer_gets_a_pad_of_its_own(tmp_path):
    tokenizer = byte_pair(["ab ab abc"], 300, ["eos"])
    padded = with_pad(tokenizer)
    assert padded.special["pad"] == tokenizer.vocab_size == padded.vocab_size - 1
    assert padded.special["eos"] == tokenizer.special["eos"]
    for text in ("ab abc", "<|pad|>"):
        np.testing.assert_array_equal(padded.encode(text), tokenizer.encode(text))
    assert with_pad(padded) is padded
    token = tokenizer.spec["special"]["eos"]
    (tmp_path / "tokenizer.json").write_text(tokenizer.spec["json"])
    shared = from_file(tmp_path / "tokenizer.json", {"eos": token, "pad": token})
    assert with_pad(shared).special == padded.special
