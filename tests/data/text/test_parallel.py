"""Parallel texts are read from files of lines, so that no line loses its other."""

import pytest

from fdl.data.text import read_parallel
from fdl.errors import UserError

FILES = {
    "train.en": "a\n\nc",
    "train.de": "A\nB\nC\n",
    "validation.en": "ä b\n",
    "validation.de": "x\u2028y\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def test_lines_are_pairs(folder):
    train, validation, test = read_parallel(folder)
    assert [*zip(train["en"], train["de"], strict=True)] == [
        ("a", "A"),
        ("", "B"),
        ("c", "C"),
    ]
    assert [*validation["de"]] == ["x\u2028y"] and test is None
    (folder / "test.en").write_text("t\n")
    (folder / "test.de").write_text("T\n")
    assert [*read_parallel(folder, ("de", "en")).test["en"]] == ["t"]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("train.de", "A\n", r"as many lines in each file: train.en 3, train.de 1"),
        ("validation.en", None, r"validation.en: expected a file"),
        ("test.en", "t\n", r"test.de: expected a file"),
        ("train.en", "", r"train.en: expected lines, got an empty file"),
    ],
)
def test_what_is_missing_is_told(folder, name, content, message):
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(UserError, match=message):
        read_parallel(folder)
