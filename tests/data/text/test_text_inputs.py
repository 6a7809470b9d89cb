"""Texts become rows of tokens alike in training, from files, and after a round trip."""

import csv
import json

import numpy as np
import pytest

import fdl.data
from fdl.data import encoder, preprocessing, preprocessor, read_inputs
from fdl.data.preprocessing_files import from_files, to_files
from fdl.data.text import tokenizers
from fdl.errors import UserError

TEXTS = ["the cat", "", "  a  cat,\tthe", "the the the the the the the", "né 👩"]
ROLES = ["pad", "unk", "cls", "sep"]
TOKENIZERS = {
    "bytes": tokenizers.byte_tokenizer(ROLES),
    "characters": tokenizers.characters(TEXTS[:3], ROLES),
    "words": tokenizers.words(TEXTS[:3], ROLES),
    "byte_pair": tokenizers.byte_pair(TEXTS, 270, ROLES),
    "wordpiece": tokenizers.wordpiece(TEXTS[:3], 40, ROLES),
    "unigram": tokenizers.unigram(TEXTS[:3], 30, ROLES),
}
WORDS = preprocessing.text(TOKENIZERS["words"], 5, begin="cls", end="sep")


def rows_of(tokenizer, texts, length):
    """What the rows should be, text by text."""
    pad, _, cls, sep = (tokenizer.special[role] for role in ROLES)
    for text in texts:
        row = [cls, *tokenizer.encode(text).tolist()[: length - 2], sep]
        yield row + [pad] * (length - len(row))


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_texts_are_encoded_alike_after_a_round_trip(kind, tmp_path):
    tokenizer = TOKENIZERS[kind]
    before = preprocessing.text(tokenizer, 9, begin="cls", end="sep", column="en")
    to_files(before, tmp_path)
    after = from_files(tmp_path)
    assert after == before  # The tokenizer, as its spec, is a part of it.
    expected = [*rows_of(tokenizer, TEXTS, 9)]
    for which in (before, after):
        for raw in (TEXTS, np.array(TEXTS, object), {"en": TEXTS, "label": [0]}):
            arrays = encoder(which)(raw)
            assert [*arrays] == ["tokens"] and arrays["tokens"].dtype == np.int32
            assert arrays["tokens"].tolist() == expected
        batch = {"tokens": 7, "label": 8}
        assert preprocessor(which)(batch) == batch
    assert preprocessing.tokenizer_of(after).spec == tokenizer.spec
    published = tmp_path / "tokenizer.json"
    assert published.exists() == (kind not in ("bytes", "characters"))
    if published.exists():
        read = tokenizers.from_file(published, tokenizer.spec["special"])
        assert read.spec == tokenizer.spec


def test_splits_are_encoded_for_batches():
    part = {"text": np.array(TEXTS, object), "label": np.arange(5)}
    splits = fdl.data.encode_splits(fdl.data.Splits(part, part), WORDS)
    batches = fdl.data.batches(splits.train, 2)
    assert {*batches.data} == {"tokens", "label"}
    assert splits.validation["tokens"].shape == (5, 5) and splits.test is None


# Files.


def written(folder, suffix, texts, column="text"):
    path = folder / f"a{suffix}"
    if suffix == ".txt":
        path.write_text("\n".join([*texts, ""]), encoding="utf-8", newline="")
    elif suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = [[i, text] for i, text in enumerate(texts)]
            csv.writer(file).writerows([["id", column], *rows])
    else:
        lines = [json.dumps({"id": 1, column: text}) for text in texts]
        path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".txt", ".csv", ".jsonl"])
def test_every_line_is_answered_in_its_place(suffix, tmp_path):
    texts = [*TEXTS, "", "a\u2028cat\x0b", "", "  "]
    path = written(tmp_path, suffix, texts)
    arrays, names = read_inputs(WORDS, [path])
    assert arrays["tokens"].tolist() == [*rows_of(TOKENIZERS["words"], texts, 5)]
    assert names == [str(i) for i in range(len(texts))]


def test_lines_of_windows_and_empty_ones_are_kept(tmp_path):
    expected = [*rows_of(TOKENIZERS["words"], ["the", "", "cat"], 5)]
    for name, content in {
        "a.txt": b"\xef\xbb\xbfthe\r\n\r\ncat\r\n",
        "b.txt": b"the\n\ncat",
        "c.jsonl": b'{"text": "the"}\r\n\r\n{"text": "cat"}\n',
        "d.csv": b'text\r\nthe\r\n\r\n"cat"\r\n',
    }.items():
        (tmp_path / name).write_bytes(content)
        assert read_inputs(WORDS, [tmp_path / name])[0]["tokens"].tolist() == expected


def test_a_text_of_a_table_may_have_lines_and_spaces(tmp_path):
    letters = preprocessing.text(TOKENIZERS["bytes"], 9)
    texts = [" a\r\nb ", 'say "a", b']
    arrays, _ = read_inputs(letters, [written(tmp_path, ".csv", texts)])
    assert arrays["tokens"][0, :6].tolist() == [*texts[0].encode()]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_another_column_is_named(suffix, tmp_path):
    path = written(tmp_path, suffix, TEXTS, column="question")
    arrays, _ = read_inputs(WORDS, [path], column="question")
    assert arrays["tokens"].tolist() == [*rows_of(TOKENIZERS["words"], TEXTS, 5)]
    with pytest.raises(UserError, match=r"column names another\. There is: id, q"):
        read_inputs(WORDS, [path])


def test_tokens_are_taken_as_they_are(tmp_path):
    tokens = np.arange(10).reshape(2, 5) % 8
    np.savez(tmp_path / "a.npz", tokens=tokens)
    arrays, _ = read_inputs(WORDS, [tmp_path / "a.npz"])
    np.testing.assert_array_equal(arrays["tokens"], tokens)
    np.savez(tmp_path / "a.npz", tokens=tokens + 99)
    with pytest.raises(UserError, match="'tokens', row 1, column 1: expected whole n"):
        read_inputs(WORDS, [tmp_path / "a.npz"])


# Mistakes.

IMAGES = preprocessing.images((8, 8, 1))
FILES = {
    "list.jsonl": b'{"text": "a"}\n["a"]\n',
    "number.jsonl": b'{"text": 7}\n',
    "key.jsonl": b'{"txt": "a"}\n',
    "broken.jsonl": b'{"text": "a\n',
    "empty.txt": b"",
    "latin.txt": b"a\ncaf\xe9\n",
    "header.csv": b"text\n",
    "twice.csv": b"text,text\na,b\n",
    "a.txt": b"a\n",
    "dog.txt": b"the cat\na dog\n",
}
MISTAKES = {
    "a list": ("list.jsonl", "list.jsonl:2: expected a JSON object, got '[\"a\"]'"),
    "a number": ("number.jsonl", "number.jsonl:1: 'text': expected a text, got 7"),
    "a key": ("key.jsonl", "key.jsonl:1: expected a key 'text', with the text; the o"),
    "half an object": ("broken.jsonl", "broken.jsonl:1: expected a JSON object"),
    "nothing": ("empty.txt", "empty.txt: expected lines, got an empty file"),
    "Latin-1": ("latin.txt", "expected text in UTF-8, got 0xe9 at byte 5"),
    "no row": ("header.csv", "header.csv: expected rows below the header, got none"),
    "a column twice": ("twice.csv", "expected one column 'text', with the texts"),
    "a picture": ("a.png", "expected one file of texts: .txt, .csv, .jsonl, .npz"),
    "no file": ("none.txt", "none.txt: expected a file: No such file"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_every_mistake_in_a_file_is_one_line(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    path, message = MISTAKES[case]
    with pytest.raises(UserError) as caught:
        read_inputs(WORDS, [path])
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_what_texts_and_images_do_not_share_is_told(tmp_path):
    for which, options, message in (
        (WORDS, {"invert": True}, "invert=True: expected images"),
        (IMAGES, {"column": "text"}, "column='text': expected a model of texts"),
    ):
        with pytest.raises(UserError, match=message):
            read_inputs(which, [tmp_path / "a.txt"], **options)
    with pytest.raises(UserError, match="a preprocessing of texts, which has a token"):
        preprocessing.tokenizer_of(IMAGES)
    with pytest.raises(UserError, match="arrays by name, got texts"):
        encoder(IMAGES)(["a text"])
    with pytest.raises(
        UserError, match="expected texts or arrays by name, got the row"
    ):
        encoder(WORDS)([{"text": "a"}])
    known = preprocessing.text(tokenizers.words(["the cat"], ["pad"]), 5)
    (tmp_path / "dog.txt").write_text("the cat\nthe dog\n")
    with pytest.raises(
        UserError, match=r"dog\.txt: text 2: text: 'dog' at character 4"
    ):
        read_inputs(known, [tmp_path / "dog.txt"])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: preprocessing.text(tokenizers.byte_tokenizer(), 5), "'pad': expected"),
        (lambda: preprocessing.text(TOKENIZERS["words"], 2, "cls", "sep"), "least 3"),
        (
            lambda: preprocessing.text(TOKENIZERS["words"], 5, "bos"),
            "'bos': expected a",
        ),
    ],
)
def test_what_cannot_be_declared_is_told(make, message):
    with pytest.raises(UserError, match=message):
        make()


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"tokenizer": {"kind": "os.system"}},
            "tokenizer: there is no kind 'os.system'",
        ),
        ({"tokenizer": None}, "tokenizer: there is no kind None"),
        ({"tokenizer": {"kind": "bytes", "special": ["x"]}}, "tokenizer: special='x'"),
        (
            {"tokenizer": {"kind": "huggingface", "file": "/etc/passwd"}},
            "expected json",
        ),
        (
            {"tokenizer": {"kind": "huggingface", "file": "tokenizer.json"}},
            "cannot read",
        ),
        ({"begin": "bos"}, "'bos': expected a role that the tokenizer declares"),
        ({"column": 7}, "expected the name of a column"),
    ],
)
def test_a_hostile_file_is_told_in_a_line(change, message, tmp_path):
    to_files(preprocessing.text(TOKENIZERS["bytes"], 5), tmp_path)
    path = tmp_path / "preprocessing.json"
    content = json.loads(path.read_text())
    content["encode"] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        from_files(tmp_path)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
