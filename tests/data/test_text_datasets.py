"""Text is prepared and read as it is in the files; labels keep their names."""

import gzip
import os
import pathlib

import jax
import numpy as np
import pytest

import fdl.data
from fdl.data import datasets, tfds_prepare
from fdl.data.datasets import download, text
from fdl.data.datasets.dataset import Dataset
from fdl.errors import UserError

TEXTS = ["", "né\r\n", "日本", "\0 a"]


def paths(name):
    """Files of a data set that the user has provided; or a skip."""
    folder = pathlib.Path(os.environ.get("FDL_MANUAL_DIR", "missing")) / name
    if not folder.is_dir():
        pytest.skip(f"needs {name}: set FDL_MANUAL_DIR to a folder with {name}/")
    return {file: folder / file for file in getattr(datasets, name).files}


def test_shakespeare_is_divided_as_by_others():
    parts = datasets.tiny_shakespeare.read(paths("tiny_shakespeare"))
    train, *rest = (part["text"][0] for part in parts.values())
    assert [*parts] == ["train", "validation", "test"]
    # TFDS has 90, 5 and 5 %; nanoGPT's validation text is both of the latter.
    data = paths("tiny_shakespeare")["input.txt"].read_text()
    assert (train, "".join(rest)) == (data[: int(len(data) * 0.9)], data[1003854:])
    assert abs(len(rest[0]) - len(rest[1])) <= 1
    assert len({*data}) == 65


# Of the papers.
COUNTS = {"DESC": 1162, "ENTY": 1250, "ABBR": 86, "HUM": 1223, "LOC": 835, "NUM": 896}


def test_trec_has_the_published_counts():
    parts = datasets.trec.read(paths("trec"))
    assert {k: len(part["text"]) for k, part in parts.items()} == {
        "train": 5452,
        "test": 500,
    }
    names = [name[:3].upper() for name in datasets.trec.classes["label"]]
    assert names == ["DES", "ENT", "ABB", "HUM", "LOC", "NUM"]
    found = np.bincount(parts["train"]["label"])
    assert found.tolist() == [*COUNTS.values()]
    kinds = dict(zip(parts["test"]["text"], parts["test"]["label"], strict=True))
    assert kinds["Who was Galileo ?"] == names.index("HUM")


def test_sst2_has_the_published_counts():
    parts = datasets.sst2.read(paths("sst2"))
    counts = [np.bincount(part["label"]).tolist() for part in parts.values()]
    assert counts == [[3310, 3610], [428, 444], [912, 909]]
    assert parts["validation"]["text"][0] == "one long string of cliches ."


def test_multi30k_has_pairs():
    parts = datasets.multi30k.read(paths("multi30k"))
    assert [len(part["en"]) for part in parts.values()] == [29_000, 1014, 1000]
    assert parts["train"]["en"][0].startswith("Two young, White males are outside")
    assert parts["train"]["de"][0].startswith("Zwei junge weiße Männer sind")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny_shakespeare", "trec", "sst2", "multi30k"])
def test_loading_gives_what_the_files_have(name, tmp_path):
    expected = getattr(datasets, name).read(paths(name))
    for split, arrays in expected.items():
        found = fdl.data.load(name, split, data_dir=tmp_path)
        assert {*found} == {*arrays}
        for key, array in arrays.items():
            assert found[key].tolist() == array.tolist()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Prepared by fdl, in a folder such as that of TFDS."""
    splits = {
        "train": {"text": np.array(TEXTS, object), "label": np.arange(4) % 2},
        "alone": {"text": np.array(TEXTS, object), "label": np.arange(4) % 2},
    }
    dataset = Dataset("Texts.", "", lambda _: splits, classes={"label": ("a", "b")})
    root = tmp_path_factory.mktemp("texts")
    tfds_prepare.write("texts", dataset, splits, str(root))
    return root


def test_text_comes_back(prepared):
    for split, rows in {"train": slice(4), "train[1:3]": slice(1, 3)}.items():
        for _ in range(2):  # Decoded, then as it was stored.
            found = fdl.data.load("texts", split, data_dir=prepared)
            assert found["text"].tolist() == TEXTS[rows]
            assert found["label"].tolist() == [0, 1, 0, 1][rows]
            assert found["text"].dtype == object and found["label"].dtype == np.int32
            fdl.data.loading._load.cache_clear()
            fdl.data.tfds_read.read_whole.cache_clear()
    (names,) = prepared.glob("texts/*/label.labels.txt")
    assert names.read_text().split() == ["a", "b"]


def test_the_device_takes_no_text(prepared):
    source = fdl.data.load("texts", "train", data_dir=prepared)
    batches = fdl.data.batches(source, 2, shuffle=False)
    taken = jax.jit(batches.take)(batches.data, next(batches.stream(0)))
    assert [*taken] == ["label"] and taken["label"].tolist() == [0, 1]
    with pytest.raises(
        UserError, match=r"'text' is text: expected numbers, as fdl\.data"
    ):
        fdl.data.batches({"text": source["text"]}, 2)
    # Fingerprints are of the texts, and of where one ends.
    texts = ["ab", "c"], ["a", "bc"], ["ab", "d"]
    found = {fdl.data.fingerprint({"text": np.array(x, object)}) for x in texts}
    assert len(found) == 3


WRONG = {
    "a class": (b"0 a\n2 b\n", r"x.txt:2: expected a class from 0 to 1, .* got '2 b'"),
    "no class": (b"0 a\nb\n", r"x.txt:2: expected a class"),
    "few": (b"0 a\n", "expected 2 lines, got 1"),
    "Latin-1": (b"0 \xe9\n0 a\n", "expected text in UTF-8, got 0xe9 at byte 2"),
    "damage": (gzip.compress(b"0 a\n1 b\n")[:-9], "damaged gzip file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_files_that_are_wrong_are_told(case, tmp_path):
    content, message = WRONG[case]
    read = text.read_labelled({"train": ("x.txt", 2)}, ("a", "b"))
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        read({"x.txt": path})
    path.write_bytes(gzip.compress("0 \n1 né 2\n".encode()))  # Packed or not.
    part = read({"x.txt": path})["train"]
    assert part["text"].tolist() == ["", "né 2"] and part["label"].tolist() == [0, 1]


def test_what_is_not_downloaded_is_told_with_its_source(tmp_path):
    with pytest.raises(UserError, match=r"by hand train.txt.gz: TREC.train.all of h"):
        download.fetch("trec", datasets.trec.files, tmp_path, tmp_path)
