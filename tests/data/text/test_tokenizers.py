"""Tokenizers: exact inverses where their kind allows it, the same ones every time."""

import collections
import hashlib
import itertools
import json
import re

import numpy as np
import pytest

from fdl.data.text import tokenizers
from fdl.errors import UserError

TEXTS = [
    "The cat sat on the mat, the cat ate.",
    "",
    "A low mat is lower than the lowest cat;\nthe cat's mat sat.",
]
ROLES = ["pad", "unk", "bos", "eos"]
TRAINED = {
    "words": lambda special=("unk",): tokenizers.words(TEXTS, special),
    "byte_pair": lambda special=("unk",): tokenizers.byte_pair(TEXTS, 290, special),
    "wordpiece": lambda special=("unk",): tokenizers.wordpiece(TEXTS, 50, special),
    "unigram": lambda special=("unk",): tokenizers.unigram(TEXTS, 40, special),
}
MAKERS = {
    "bytes": tokenizers.byte_tokenizer,
    "characters": lambda special=(): tokenizers.characters(TEXTS, special),
    **TRAINED,
}
UNICODE = {
    "empty": "",
    "a space": " ",
    "spaces": "  a   b  ",
    "lines": "a\r\nb\n\n\tc\r",
    "emoji": "👩‍👩‍👧 🇩🇪",
    "combining": "e\u0301 ≠ é",
    "scripts": "日本語 עברית ไทย",
    "null": "\0\x7f\ufeff",
    "a special token": "<unk> <pad>",
}


# Exact inverses.


@pytest.mark.parametrize("case", UNICODE)
def test_nothing_is_lost_of_any_text(case):
    text = UNICODE[case]
    for tokenizer in (
        tokenizers.byte_tokenizer(ROLES),
        tokenizers.characters(text or "a", ROLES),
        tokenizers.byte_pair([*TEXTS, text], 300, ROLES),
        tokenizers.unigram([*TEXTS, text], 80, ROLES),
    ):
        ids = tokenizer.encode(text)
        assert ids.dtype == np.int32 and ids.ndim == 1
        assert tokenizer.decode(ids) == text
        assert not {*ids.tolist()} & {*tokenizer.special.values()}


def test_ids_are_those_of_python():
    text = "".join(UNICODE.values())
    assert tokenizers.byte_tokenizer().encode(text).tolist() == [*text.encode()]
    # As nanoGPT has it.
    stoi = {letter: i for i, letter in enumerate(sorted({*text}))}
    tokenizer = tokenizers.characters(text, ["pad"])
    assert tokenizer.encode(text).tolist() == [stoi[letter] for letter in text]
    assert tokenizer.special == {"pad": len(stoi)}
    assert tokenizer.vocab_size == len(stoi) + 1


@pytest.mark.parametrize("kind", ["words", "wordpiece"])
def test_what_was_decoded_is_encoded_alike(kind):
    tokenizer = TRAINED[kind]()
    for text in TEXTS:
        ids = tokenizer.encode(text)
        decoded = tokenizer.decode(ids)
        assert decoded.replace(" ", "") == re.sub(r"\s", "", text)
        np.testing.assert_array_equal(tokenizer.encode(decoded), ids)


@pytest.mark.parametrize("kind", MAKERS)
def test_the_spec_makes_it_again(kind):
    before = MAKERS[kind](ROLES)
    after = tokenizers.make(json.loads(json.dumps(before.spec)))
    assert after[2:] == before[2:]  # All but the functions.
    for text in TEXTS:
        ids = before.encode(text)
        np.testing.assert_array_equal(after.encode(text), ids)
        assert after.decode(ids) == before.decode(ids)


# Against the algorithms, written out.


def pieces_of(tokenizer):
    return json.loads(tokenizer.spec["json"])["model"]["vocab"]


def test_words_are_ordered_by_their_counts():
    tokenizer = TRAINED["words"]()
    found = collections.Counter(re.findall(r"\w+|[^\w\s]+", " ".join(TEXTS)))
    expected = sorted(found, key=lambda word: (-found[word], word))
    assert tokenizer.decode(range(tokenizer.vocab_size - 1)) == " ".join(expected)
    few = tokenizers.words(TEXTS, ["unk"], min_count=2, vocab_size=4, lowercase=True)
    assert few.decode(few.encode("The dog ate mats, THE cat")) == (
        "the <unk> <unk> <unk> <unk> the cat"
    )
    plain = tokenizers.words(TEXTS, punctuation=False)
    assert plain.decode(plain.encode("the cat's  mat,")) == "the cat's mat,"


def test_pairs_are_merged_by_their_counts():
    merges = json.loads(TRAINED["byte_pair"]().spec["json"])["model"]["merges"]
    words = collections.Counter()
    for text in TEXTS:  # The pattern of GPT-2, of what these texts have.
        words.update(re.findall(r"'s| ?[a-zA-Z]+| ?[^\s\w]+|\s+(?!\S)|\s+", text))
    split = {tuple(w.replace(" ", "Ġ").replace("\n", "Ċ")): n for w, n in words.items()}
    for merge in merges:
        pairs = collections.Counter()
        for word, count in split.items():
            for pair in itertools.pairwise(word):
                pairs[pair] += count
        assert pairs[tuple(merge)] == max(pairs.values())
        split = {merged(word, tuple(merge)): n for word, n in split.items()}
    assert 20 < len(merges) <= 290 - 257


def merged(word, pair):
    result = []
    for letter in word:
        if result and (result[-1], letter) == pair:
            result[-1] += letter
        else:
            result.append(letter)
    return tuple(result)


def test_wordpiece_takes_the_longest_piece_first():
    tokenizer = TRAINED["wordpiece"]()
    vocabulary = pieces_of(tokenizer)
    for word in ("lowest", "mats", "cat", "lowers", "."):
        expected, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next(e for e in ends if mark + word[start:e] in vocabulary)
            expected.append(vocabulary[mark + word[start:end]])
            start = end
        assert tokenizer.encode(word).tolist() == expected
    # Unknown is the word, not the letter.
    assert tokenizer.encode("xlow low").tolist()[0] == tokenizer.special["unk"]


def test_unigram_takes_the_most_probable_pieces():
    tokenizer = TRAINED["unigram"]()
    vocabulary = pieces_of(tokenizer)
    score = {piece: value for piece, value in vocabulary[:-1]}
    assert np.exp([*score.values()]).sum() == pytest.approx(1)
    for word in ("lowest", "▁the", "▁mats"):
        cuts = itertools.product([0, 1], repeat=len(word) - 1)
        parts = [cut_at(word, cut) for cut in cuts]
        best = max(sum(score.get(p, -99) for p in pieces) for pieces in parts)
        found = tokenizer.encode(word.replace("▁", " "))
        assert sum(vocabulary[i][1] for i in found) == pytest.approx(best)


def cut_at(word, cuts):
    ends = [i + 1 for i, cut in enumerate(cuts) if cut] + [len(word)]
    return [word[a:b] for a, b in zip([0, *ends], ends, strict=False)]


FROZEN = {  # Of another process.
    "words": "bc73690ab75d",
    "byte_pair": "c1f655656909",
    "wordpiece": "9754e0631a05",
    "unigram": "f19c981fae93",
}


@pytest.mark.parametrize("kind", TRAINED)
def test_training_is_the_same_in_every_process(kind):
    tokenizer = TRAINED[kind]()
    tokens = "|".join(tokenizer.decode([i]) for i in range(tokenizer.vocab_size))
    assert hashlib.sha256(tokens.encode()).hexdigest()[:12] == FROZEN[kind]
    assert TRAINED[kind]().spec == tokenizer.spec


@pytest.mark.parametrize("kind", TRAINED)
def test_the_order_of_the_texts_does_not_matter(kind, monkeypatch):
    before = TRAINED[kind]().spec
    monkeypatch.setitem(globals(), "TEXTS", TEXTS[::-1])
    assert TRAINED[kind]().spec == before


# Special tokens.


@pytest.mark.parametrize("kind", MAKERS)
def test_special_tokens_have_ids_of_their_own(kind):
    tokenizer = MAKERS[kind](ROLES)
    size, plain = tokenizer.vocab_size, MAKERS[kind](["unk"])
    assert [*tokenizer.special] == ROLES
    assert sorted(tokenizer.special.values()) == [*range(size - 4, size)]
    assert plain.vocab_size <= size <= plain.vocab_size + 3
    ids = tokenizer.encode(TEXTS[0])
    around = [tokenizer.special["bos"], *ids, tokenizer.special["pad"]]
    assert tokenizer.decode(around) == tokenizer.decode(ids)


def test_the_unknown_is_shown():
    for kind, text, shown in (
        ("characters", "cax", "ca�"),
        ("words", "the dog", "the <unk>"),
        ("wordpiece", "the xyz", "the <unk>"),
        ("unigram", "the x", "the <unk>"),
    ):
        tokenizer = MAKERS[kind](["unk"])
        assert tokenizer.decode(tokenizer.encode(text)) == shown
        with pytest.raises(UserError, match=r"text: '\w+' at character [24] is not in"):
            MAKERS[kind]([]).encode(text)


def test_texts_of_special_tokens_are_declared():
    tokenizer = tokenizers.wordpiece(TEXTS, 50, {"unk": "[UNK]", "pad": "[PAD]"})
    assert tokenizer.decode(tokenizer.encode("the ü")) == "the [UNK]"
    size = tokenizer.vocab_size
    assert tokenizer.special == {"unk": size - 2, "pad": size - 1}


# Sizes.


@pytest.mark.parametrize("kind", ["bytes", "characters", "byte_pair", "unigram"])
def test_sizes_add_up(kind):
    text = "".join(UNICODE.values())
    tokenizer = {
        "bytes": tokenizers.byte_tokenizer,
        "characters": lambda special: tokenizers.characters(text, special),
        "byte_pair": lambda special: tokenizers.byte_pair([text], 300, special),
        "unigram": lambda special: tokenizers.unigram([text], 99, special),
    }[kind](ROLES)
    for unit, expected in {"bytes": text.encode(), "characters": text}.items():
        sizes = tokenizers.token_sizes(tokenizer, unit)
        assert sizes.dtype == np.int32 and sizes.shape == (tokenizer.vocab_size,)
        assert sizes[tokenizer.encode(text)].sum() == len(expected)
        special = [tokenizer.special[role] for role in ROLES]
        assert sizes[special].tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("kind", ["words", "wordpiece"])
def test_sizes_that_depend_on_others_are_told(kind):
    with pytest.raises(UserError, match="depends on those around it"):
        tokenizers.token_sizes(TRAINED[kind](), "bytes")


# Published files.


def saved(tmp_path, tokenizer, **changes):
    content = json.loads(tokenizer.spec["json"])
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", TRAINED)
def test_a_file_is_read_as_it_was_written(kind, tmp_path):
    before = TRAINED[kind](["unk", "eos"])
    path = saved(tmp_path, before)
    after = tokenizers.from_file(path, {"unk": "<unk>", "eos": "<eos>"})
    assert after[2:] == before[2:]
    for text in TEXTS:
        np.testing.assert_array_equal(after.encode(text), before.encode(text))


def test_a_file_adds_and_cuts_nothing(tmp_path):
    before = TRAINED["byte_pair"](["bos", "pad"])
    bos, pad = before.special.values()
    cut = {"max_length": 3, "strategy": "LongestFirst", "stride": 0}
    cut["direction"] = "Right"
    path = saved(
        tmp_path,
        before,
        truncation=cut,
        padding={
            "strategy": {"Fixed": 99},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": pad,
            "pad_type_id": 0,
            "pad_token": "<pad>",
        },
        post_processor={
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "<bos>", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {
                "<bos>": {"id": "<bos>", "ids": [bos], "tokens": ["<bos>"]}
            },
        },
        model={**json.loads(before.spec["json"])["model"], "dropout": 0.9},
    )
    after = tokenizers.from_file(path, {"pad": "<pad>"})
    np.testing.assert_array_equal(after.encode(TEXTS[0]), before.encode(TEXTS[0]))
    assert after.decode([bos, *after.encode("<bos>low"), pad]) == "<bos>low"


def test_a_wrong_special_token_names_the_near_ones(tmp_path):
    path = saved(tmp_path, TRAINED["words"]({"pad": "[PAD]", "unk": "[UNK]"}))
    with pytest.raises(UserError, match=r"expected a token. Did you mean '\[PAD\]'"):
        tokenizers.from_file(path, {"pad": "[PAAD]"})
    # What the file has for the unknown is not declared.
    with pytest.raises(UserError, match="text: 'dog' at character 4 is not in the voc"):
        tokenizers.from_file(path, {}).encode("the dog")


# Mistakes.

BYTES, LETTERS = tokenizers.byte_tokenizer(["pad"]), tokenizers.characters("abc")
MISTAKES = {
    "an unknown id": (lambda: LETTERS.decode([0, 3]), "ids from 0 to 2, got 3 at posi"),
    "a negative id": (lambda: BYTES.decode([-1]), "ids from 0 to 256, got -1 at"),
    "fractions": (lambda: LETTERS.decode([0.5]), "integers [T], got float64 [1]"),
    "a batch": (lambda: LETTERS.decode([[0], [1]]), "integers [T], got int64 [2, 1]"),
    "an unknown character": (
        lambda: LETTERS.encode("abé"),
        "text: 'é' at character 2 is not in the alphabet: declare the special token",
    ),
    "no text": (lambda: LETTERS.encode(7), "text of type int: expected a str"),
    "bytes": (lambda: BYTES.encode(b"a"), "text of type bytes: expected a str"),
    "a surrogate": (lambda: BYTES.encode("a\ud800"), r"'\ud800', at character 1"),
    "a role": (lambda: tokenizers.byte_tokenizer(["pat"]), "Did you mean 'pad'?"),
    "a role twice": (lambda: tokenizers.byte_tokenizer(["pad"] * 2), "each role once"),
    "a role as a text": (lambda: tokenizers.byte_tokenizer("pad"), "expected roles,"),
    "no texts": (lambda: tokenizers.words([""]), "texts: expected some text, got none"),
    "no character": (lambda: tokenizers.characters(""), "alphabet: expected one or"),
    "few pairs": (lambda: tokenizers.byte_pair(TEXTS, 256, ["pad"]), "from 257 to"),
    "few pieces": (lambda: tokenizers.wordpiece(TEXTS, 9), "vocab_size=9: expected at"),
    "few words": (lambda: tokenizers.unigram(TEXTS, 9), "vocab_size: expected room"),
    "a size": (lambda: tokenizers.byte_pair(TEXTS, 3e2), "vocab_size=300.0: expected"),
    "a unit": (lambda: tokenizers.token_sizes(BYTES, "bits"), "'bytes' or 'charact"),
    "no spec": (lambda: tokenizers.make([]), "there is no kind None"),
    "a kind": (lambda: tokenizers.make({"kind": "byte"}), "Did you mean 'bytes'?"),
    "no argument": (lambda: tokenizers.make({"kind": "bytes"}), "expected special"),
    "an alphabet": (
        lambda: tokenizers.make(
            {"kind": "characters", "alphabet": "aa", "special": []}
        ),
        "tokenizer: alphabet: expected one or more characters, each once",
    ),
    "a number": (
        lambda: tokenizers.make({"kind": "characters", "alphabet": 7, "special": []}),
        "tokenizer.alphabet=7: expected a str",
    ),
    "no JSON": (
        lambda: tokenizers.make({"kind": "huggingface", "json": "[", "special": {}}),
        "expected the content of a tokenizer.json",
    ),
    "another JSON": (
        lambda: tokenizers.make({"kind": "huggingface", "json": "{}", "special": {}}),
        "expected the content of a tokenizer.json",
    ),
    "a word as special token": (
        lambda: tokenizers.words(["the cat"], {"pad": "cat"}),
        "special['pad']='cat': expected another text, as it is a token of the texts",
    ),
    "a piece as special token": (
        lambda: tokenizers.unigram(["<pad>"] * 50 + ["ab"] * 20, 30, ["pad"]),
        "special['pad']='<pad>': expected another text",
    ),
    "an end that is padding": (
        lambda: tokenizers.encode_texts(
            tokenizers.words(["a"], {"pad": "<x>", "eos": "<x>"}), ["a"], 5, end="eos"
        ),
        "end='eos': expected another token than that of padding",
    ),
    "no file": (lambda: tokenizers.from_file("none.json", {}), "cannot read none.json"),
    "no roles": (
        lambda: tokenizers.from_file(__file__, ["pad"]),
        "special=['pad']: expected the texts of",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_every_mistake_is_one_line(case):
    call, message = MISTAKES[case]
    with pytest.raises(UserError) as caught:
        call()
    assert message in str(caught.value) and "\n" not in str(caught.value)


# Rows.


def test_texts_become_rows():
    tokenizer = tokenizers.characters("abc", ["pad", "cls", "sep"])
    rows = tokenizers.encode_texts(
        tokenizer, ["", "ab", "abcabc"], 5, begin="cls", end="sep"
    )
    assert rows.tolist() == [[4, 5, 3, 3, 3], [4, 0, 1, 5, 3], [4, 0, 1, 2, 5]]
    assert rows.dtype == np.int32
    with pytest.raises(UserError, match="text 2: text: 'x' at character 1 is not in"):
        tokenizers.encode_texts(tokenizer, ["a", "ax"], 5)
    with pytest.raises(UserError, match="max_length=2: expected at least 3"):
        tokenizers.encode_texts(tokenizer, ["a"], 2, begin="cls", end="sep")
    with pytest.raises(
        UserError, match=r"'eos': expected a role that .* pad, cls, sep"
    ):
        tokenizers.encode_texts(tokenizer, ["a"], 3, end="eos")


@pytest.mark.oracle
@pytest.mark.parametrize("kind", TRAINED)
def test_transformers_reads_the_file(kind, tmp_path):
    transformers = pytest.importorskip("transformers")
    ours = TRAINED[kind](["unk"])
    path = saved(tmp_path, ours)
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(path), unk_token="<unk>"
    )
    for text in [*TEXTS, "the  dog's 👩\r\n"]:
        expected = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.encode(text).tolist() == expected
        assert ours.decode(expected) == theirs.decode(
            expected, clean_up_tokenization_spaces=False
        )
