"""A corpus is tokenised once, whole or not at all, whatever its texts come from."""

import importlib
import json
import tracemalloc
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

from fdl.data.splits import Splits
from fdl.data.text import (
    corpus,
    duplicates,
    read_bin,
    read_corpus,
    read_tokens,
    split_documents,
)
from fdl.data.text.document_splits import warn_of_duplicates
from fdl.data.text.tokenizers import characters
from fdl.errors import DataWarning, UserError

MODULE = importlib.import_module("fdl.data.text.corpus")
FILES = importlib.import_module("fdl.data.text.text_files")


class Bytes(NamedTuple):
    """Tokenizer of bytes, which counts its calls."""

    calls: list
    vocab_size: int = 257
    special: Any = {"eos": 256}  # noqa: RUF012
    spec: Any = {"kind": "bytes"}  # noqa: RUF012

    def encode(self, text):
        self.calls.append(text)
        return np.frombuffer(text.encode(), np.uint8).astype(np.int32)


TEXTS = ["one\r\ntwo", "naïve ☃ 𝔘", " \x00, \"quoted\"\nand 'single'"]


def texts_of(found):
    return [bytes(document.tolist()).decode() for document in found.documents]


def write_text(folder):
    for i, text in enumerate(TEXTS):
        (folder / f"{i}.txt").write_bytes(text.encode())
    (folder / ".hidden").write_bytes(b"\xff")
    return folder


def write_json_lines(folder):
    lines = [json.dumps({"text": text, "id": 1}) for text in TEXTS]
    (folder / "a.jsonl").write_text("\n\n".join(lines))
    return folder / "a.jsonl"


def write_csv(folder):
    quoted = (f'1,"{text.replace(chr(34), 2 * chr(34))}"' for text in TEXTS)
    content = "\r\n".join(["id,text", *quoted])
    (folder / "a.csv").write_bytes(b"\xef\xbb\xbf" + content.encode())
    return [folder / "a.csv"]


def write_parquet(folder):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": TEXTS}), folder / "a.parquet")
    return str(folder / "a.parquet")


def array(folder):
    return np.array(TEXTS, object)


@pytest.mark.parametrize(
    "write", [write_text, write_json_lines, write_csv, write_parquet, array]
)
def test_the_same_texts_give_the_same_tokens_wherever_they_are_from(tmp_path, write):
    (tmp_path / "data").mkdir()
    source = write(tmp_path / "data")
    found = corpus(source, Bytes([]), folder=tmp_path / "made")
    assert texts_of(found) == TEXTS
    assert found.tokens.dtype == np.uint16 and isinstance(found.tokens, np.memmap)
    assert (found.offsets[-1], found.vocab_size) == (len(found.tokens), 257)
    assert found.documents[-1].tolist() == list(TEXTS[-1].encode())


def test_a_second_call_finds_it_and_other_texts_or_options_make_another(tmp_path):
    tokenizer, source = Bytes([]), np.array(TEXTS)
    first = corpus(source, tokenizer, folder=tmp_path)
    assert sorted(tokenizer.calls) == sorted(TEXTS)
    again = corpus(source, Bytes(calls := []), folder=tmp_path)
    assert not calls and again.digest == first.digest
    np.testing.assert_array_equal(again.tokens, first.tokens)
    others = [
        corpus(source[:2], tokenizer, folder=tmp_path),
        corpus(source, tokenizer, folder=tmp_path, end="eos"),
        corpus(source, tokenizer._replace(spec={"kind": "other"}), folder=tmp_path),
        corpus(source, tokenizer._replace(vocab_size=70_000), folder=tmp_path),
    ]
    assert len({first.digest, *(other.digest for other in others)}) == 5
    assert others[1].documents[0].tolist() == [*TEXTS[0].encode(), 256]
    assert others[3].tokens.dtype == np.uint32
    assert len([*tmp_path.iterdir()]) == 5


def test_the_same_bytes_under_another_suffix_are_other_texts(tmp_path):
    lengths = []
    for name in "a.txt", "a.jsonl":
        (tmp_path / name).write_text('{"text": "ab"}')
        found = corpus(tmp_path / name, Bytes([]), folder=tmp_path / "made")
        lengths.append(len(found.tokens))
    assert lengths == [14, 2]


def test_one_that_was_made_at_the_same_time_is_taken(tmp_path, monkeypatch):
    def make(progress=None):
        return corpus(np.array(TEXTS), Bytes([]), folder=tmp_path, progress=progress)

    # At the last moment, behind any look whether there is one.
    rename = MODULE.Path.rename
    once = iter([make])

    def late(path, target):
        for other in once:
            other()
        return rename(path, target)

    monkeypatch.setattr(MODULE.Path, "rename", late)
    assert texts_of(make()) == TEXTS
    assert len([*tmp_path.iterdir()]) == 1


def test_pieces_of_a_long_file_are_the_file(tmp_path, monkeypatch):
    """With small pieces and bundles: lines end in them, before them and behind them."""
    monkeypatch.setattr(FILES, "PIECE", 7)
    monkeypatch.setattr(MODULE, "BUNDLE", 20)
    text = "é" * 30 + "\n" + "ab\ncdefghi\n\n" * 9 + "\r\nlast"
    (tmp_path / "a.md").write_bytes(text.encode())
    (tmp_path / "b.md").write_bytes(b"x" * 14)
    reports = []
    found = corpus(
        [tmp_path / "a.md", tmp_path / "b.md"],
        tokenizer := Bytes([]),
        folder=tmp_path / "made",
        progress=reports.append,
    )
    assert texts_of(found) == [text, "x" * 14] and len(tokenizer.calls) > 12
    shares = [report.share for report in reports]
    assert shares == sorted(shares) and shares[-1] == 1
    assert reports[-1].num_tokens == len(found.tokens)


def test_what_stops_it_leaves_nothing_half_made(tmp_path, monkeypatch):
    monkeypatch.setattr(MODULE, "BUNDLE", 1)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corpus(np.array(TEXTS), Bytes([]), folder=tmp_path / "made", progress=stop)
    assert not [*(tmp_path / "made").iterdir()]
    (tmp_path / "a.txt").write_bytes(b"text \xff")
    with pytest.raises(UserError):
        corpus(tmp_path / "a.txt", Bytes([]), folder=tmp_path / "made")
    assert not [*(tmp_path / "made").iterdir()]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.txt", b"", "a.txt: expected a text, got an empty document"),
        ("a.txt", b"text \xff", "a.txt: expected text in UTF-8, got the byte 0xff"),
        (
            "a.jsonl",
            b'{"text": "a"}\n{"text": ""}',
            "a.jsonl:2: expected a text, got an",
        ),
        ("a.jsonl", b'{"text": "\xe9"}', "a.jsonl:1: expected text in UTF-8"),
        ("a.jsonl", b'{"text": "\\ud800"}', "a.jsonl:1: .*surrogates not allowed"),
        ("a.jsonl", b'{"txt": "a"}', "a.jsonl:1: .*'text'. Did you mean 'txt'?"),
        ("a.jsonl", b"[1]", "a.jsonl:1: no JSON object"),
        ("a.jsonl", b"", "expected at least one document, got an empty corpus"),
        (
            "a.csv",
            b"txt,id\na,1",
            "a.csv: expected a column 'text'. Did you mean 'txt'",
        ),
        ("a.csv", b"text,id\na", "a.csv:2: expected 2 values, got 1"),
        ("a.csv", b'text\n"a', "a.csv:2: unexpected end of data"),
        ("a.csv", b"text\n\xff", "a.csv: expected text in UTF-8"),
        ("a.parquet", b"text", "a.parquet: expected Parquet"),
    ],
)
def test_texts_that_are_none_are_told_in_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        corpus(tmp_path / name, Bytes([]), folder=tmp_path / "made")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source, options, message",
    [
        ("missing", {}, "missing: no such file or folder"),
        ("empty", {}, "empty: expected files, got an empty folder"),
        (np.array(["a"]), {"end": "eot"}, "end='eot': expected a special .*'eos'"),
        (np.array(["a", 1], object), {}, r"texts\[1\] of type int: expected a str"),
        (np.array([], object), {}, "expected at least one document"),
        ([], {}, r"paths=\[\]"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, monkeypatch, source, options, message):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        corpus(source, Bytes([]), folder="made", **options)


def test_tokens_beyond_the_vocabulary_are_told(tmp_path):
    message = r"texts\[0\]: expected token ids below 99, .*, got 10 to 119"
    with pytest.raises(UserError, match=message):
        corpus(np.array(TEXTS), Bytes([], vocab_size=99), folder=tmp_path)


def test_a_damaged_corpus_is_told(tmp_path):
    made = corpus(np.array(TEXTS), Bytes([]), folder=tmp_path)
    folder = tmp_path / made.digest[:32]
    assert read_corpus(folder).digest == made.digest
    with (folder / "tokens.bin").open("ab") as file:
        file.write(b"12")
    with pytest.raises(UserError, match="is damaged; delete it"):
        corpus(np.array(TEXTS), Bytes([]), folder=tmp_path)


def test_memory_does_not_grow_with_the_text(tmp_path):
    peaks = []
    for count in (30_000, 240_000):  # 1 and 10 MB.
        line = b"all work and no play makes jack a dull boy\n"
        (tmp_path / "a.txt").write_bytes(line * count)
        peak = 0

        def measure(progress):
            nonlocal peak
            peak = max(peak, tracemalloc.get_traced_memory()[0])

        tracemalloc.start()
        corpus(tmp_path / "a.txt", Bytes(Nothing()), folder=tmp_path, progress=measure)
        tracemalloc.stop()
        peaks.append(peak)
    assert peaks[1] < 2 * peaks[0] < 10e6


class Nothing:
    """List that forgets."""

    def append(self, value):
        del value


def test_bin_files_of_nanogpt_are_read_as_they_are(tmp_path):
    path = tmp_path / "train.bin"
    np.array([0, 64, 50_256], np.uint16).tofile(path)
    assert read_bin(path, 50_257).tolist() == [0, 64, 50_256]
    assert isinstance(read_bin(path), np.memmap)
    with pytest.raises(UserError, match=r"tokens from 0 to 64, .*, got 50256"):
        read_bin(path, 65)
    for content in (b"", b"123"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"got {len(content)} bytes"):
            read_bin(path)
    with pytest.raises(UserError, match="expected a file"):
        read_bin(tmp_path)


def test_each_document_is_on_one_side():
    documents = [np.array([i, i]) for i in range(20)]
    one, same, other = (split_documents(documents, seed=s) for s in (1, 1, 2))
    assert [len(part) for part in one] == [16, 2, 2]
    values = [int(document[0]) for part in one for document in part]
    assert sorted(values) == [*range(20)]
    assert [[d[0] for d in part] for part in one] == [[d[0] for d in x] for x in same]
    assert [d[0] for d in one.train] != [d[0] for d in other.train]


def test_equal_documents_on_both_sides_are_told():
    train = [np.array(x, np.uint16) for x in ([1, 2], [3], [1, 2])]
    test = [np.array(x, np.int32) for x in ([3], [2, 1], [1, 2], [3, 3])]
    assert duplicates(train, test).tolist() == [[1, 0], [0, 2]]
    assert duplicates(["a"], ["A", "a "]).shape == (0, 2)


@pytest.mark.parametrize(
    "validation, test, told",
    [
        (["c"], ["d", "a", "e", "b"], "2 of 4 texts of the test .* these: 'a'"),
        (["b" * 60], None, "1 of 1 texts of the validation .*: 'b{49}…'"),
    ],
)
def test_equal_texts_in_two_splits_are_told_unasked(validation, test, told):
    with pytest.warns(DataWarning, match=told):
        warn_of_duplicates(Splits(["a", "b", "b" * 60], validation, test))
    warn_of_duplicates(Splits(["a"], ["b"], None))  # A warning would be an error here.


def test_files_of_ones_own_are_tokens_and_a_tokenizer(tmp_path):
    for name, content in (
        ("a.txt", "abab"),
        ("b.txt", "ba"),
        ("c.jsonl", '{"text": "a"}'),
    ):
        (tmp_path / name).write_text(content)
    np.array([1, 0, 2], np.uint16).tofile(tmp_path / "d.bin")
    made = partial(characters, special=["eos"])
    options = {"folder": tmp_path / "kept", "test": tmp_path / "d.bin"}
    paths = tmp_path / "a.txt", tmp_path / "c.jsonl"
    tokens, tokenizer = read_tokens(*paths, made, **options)
    assert [part.tolist() for part in tokens] == [[0, 1, 0, 1, 2], [0, 2], [1, 0, 2]]
    again, _ = read_tokens(tmp_path / "b.txt", paths[1], tokenizer, folder=tmp_path)
    assert again.train.tolist() == [1, 0, 2] and again.test is None
    # The tokenizer is made of so many characters.
    with pytest.raises(UserError, match="'b'"):
        read_tokens(*paths, made, folder=tmp_path, max_characters=1)
    with pytest.raises(
        UserError, match=r"d\.bin: expected texts to make a tokenizer of"
    ):
        read_tokens(tmp_path / "d.bin", paths[1], made, folder=tmp_path)
