"""Files are written whole and through no link, and JSON of any origin is one line."""

import json
import os
import stat
from unittest.mock import Mock

import pytest

from fdl import plots
from fdl.data.checksums import verify, write_checksums
from fdl.data.datasets.idx import read_idx
from fdl.data.image.image_files import read_images
from fdl.data.loading import load
from fdl.data.npz_files import load_npz
from fdl.data.preprocessing import images
from fdl.data.preprocessing_files import to_files
from fdl.data.tabular.csv_files import csv_lines
from fdl.errors import DamageError, RunError, UserError, printable, shown
from fdl.files import (
    expanded,
    open_to_append,
    parse_object,
    read_json,
    replacing,
    write_bytes,
)
from fdl.models.pretrained.variables import save_variables
from fdl.runs.directory import write_json
from fdl.runs.log import JsonLines, read_lines


def append(path):
    lines = JsonLines(path, 0)
    lines.write({"step": 1})
    lines.close()


WRITERS = {
    "any": (lambda path: write_bytes(path, b"new"), "a"),
    "json": (lambda path: write_json(path, {}), "config.json"),
    "lines": (append, "metrics.jsonl"),
    "figure": (lambda path: plots.save(plots.new_figure(1, 1), path), "curves.png"),
    "weights": (lambda path: save_variables(path, {}), "variables.safetensors"),
    "checksums": (lambda path: write_checksums(path.parent), "checksums.json"),
    "preprocessing": (
        lambda path: to_files(images((2, 2, 1)), path.parent),
        "preprocessing.json",
    ),
}


@pytest.mark.parametrize("write, name", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("suffix", ["", ".part", ".partial"])
def test_nothing_is_written_through_a_link(tmp_path, write, name, suffix):
    """As a folder may bring, under the name of a file or one beside it."""
    precious, folder = tmp_path / "precious", tmp_path / "folder"
    precious.write_bytes(b"[]\n" if "jsonl" not in name else b'{"step": 0}\n')
    before = precious.read_bytes()
    folder.mkdir()
    (folder / f"{name}{suffix}").symlink_to(precious)
    write(folder / name)
    assert precious.read_bytes() == before
    assert (folder / name).is_file() and not (folder / name).is_symlink()
    assert {path.name for path in folder.iterdir()} == {name, f"{name}{suffix}"}


def test_a_link_is_not_appended_to(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(OSError, match="symbolic link"):
        open_to_append(tmp_path / "link")


def test_a_file_that_fails_leaves_the_old_one_and_nothing_else(tmp_path):
    path = tmp_path / ("x" * 255)  # As long as a name may be.
    write_bytes(path, b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        part.write_bytes(b"new")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old" and [*tmp_path.iterdir()] == [path]


def test_a_home_folder_that_there_is_not_is_told(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert str(expanded("~/a")) == "/home/me/a"
    with pytest.raises(UserError, match="~nobody-here/a: there is no such home folder"):
        expanded("~nobody-here/a")
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setattr("pathlib.Path.expanduser", Mock(side_effect=RuntimeError))
    with pytest.raises(UserError, match=r"no such home folder; set TFDS_DATA_DIR$"):
        load("digits", "train")


def test_a_file_has_the_mode_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


JSON = {
    "empty": b"",
    "cut": b"{",
    "a list": b"[]",
    "a number": b"3",
    "no text": b"\xff\xfe",
    "more": b'{"a": 1}}',
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a long number": b'{"a": 1' + b"0" * 5000 + b"}",
}


@pytest.mark.parametrize("content", JSON.values(), ids=JSON)
def test_what_is_no_json_object_is_damaged(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path} is damaged: ") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError):
        parse_object(content)


def endless(path):
    path.symlink_to("/dev/zero")


SPECIAL = {"pipe": os.mkfifo, "device": endless}
READERS = {
    "json": (read_json, UserError),
    "lines": (read_lines, RunError),
    "checksum": (lambda path: verify(path.parent), DamageError),
}


@pytest.mark.parametrize("make", SPECIAL.values(), ids=SPECIAL)
@pytest.mark.parametrize("read, error", READERS.values(), ids=READERS)
def test_what_may_never_end_is_not_read(tmp_path, read, error, make):
    """As a folder from elsewhere may bring, in place of a file."""
    path = tmp_path / "file"
    path.touch()
    write_checksums(tmp_path)
    path.unlink()
    make(path)
    with pytest.raises(error, match=r"file.*: it is a pipe or a device"):
        read(path)


OPENERS = {
    "a.png": lambda path: read_images([path], (2, 2, 1)),
    "a.npz": lambda path: load_npz(path, []),
    "a.csv": csv_lines,
    "a.gz": lambda path: read_idx(path, (1,)),
}
NO_FILE = {
    "folder": (lambda path: path.mkdir(), "a folder|Is a directory"),
    "pipe": (os.mkfifo, "a pipe or a device"),
    "forbidden": (lambda path: path.touch(), "Permission denied"),
}


@pytest.mark.parametrize("make, expected", NO_FILE.values(), ids=NO_FILE)
@pytest.mark.parametrize("name, read", OPENERS.items(), ids=OPENERS)
def test_what_is_no_file_or_cannot_be_opened_is_not_called_damaged(
    tmp_path, monkeypatch, name, read, make, expected
):
    path, usual = tmp_path / name, os.open
    make(path)

    def denied(file, *rest, **options):
        if os.fspath(file) == os.fspath(path) and path.is_file():
            raise PermissionError(13, "Permission denied", str(path))
        return usual(file, *rest, **options)

    monkeypatch.setattr("os.open", denied)  # Root may read every file.
    with pytest.raises(UserError, match=f"{name}: expected a.*({expected})"):
        read(path)


def test_what_cannot_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    with pytest.raises(UserError, match=f"cannot read {path}: No such file"):
        read_json(path)
    os.mkfifo(path)  # Nobody writes into it: opening it would never end.
    with pytest.raises(UserError, match=f"cannot read {path}: it is a pipe"):
        read_json(path)
    path.unlink()
    write_json(path, {"a": 1})
    assert read_json(path) == {"a": 1}
    monkeypatch.setattr("fdl.files.MAX_JSON_BYTES", 5)
    with pytest.raises(UserError, match="expected at most 5 bytes"):
        read_json(path)


@pytest.mark.parametrize("letter", ["\x1b", "\x9b", "\r", "\0", "\u202e", "\udcff"])
def test_no_letter_controls_the_terminal(letter):
    text = printable(f"naïve 日本語 👩‍🔬\n\t{letter}[31m")
    assert letter not in text and text.startswith("naïve 日本語 👩‍🔬\n\t\\")
    assert json.loads(f'"{ascii(letter)[1:-1]}"'.replace("\\x", "\\u00")) == letter
    assert shown(f"a\n{letter}") == f"a\\n{printable(letter)}"
    assert len(shown(letter * 10**6)) == 201
