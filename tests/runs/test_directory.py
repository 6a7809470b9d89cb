"""The run folder: locked, compared and written whole."""

import json
import os
import subprocess

import jax
import optax
import pytest

from fdl.errors import RunError, UserError
from fdl.runs import directory


def test_one_run_at_a_time(tmp_path):
    workdir = tmp_path / "a/b"
    for _ in range(2):  # It is freed at the end, also after an error.
        with pytest.raises(ZeroDivisionError), directory.locked(workdir):
            with (
                pytest.raises(UserError, match=f"another run is at work in {workdir}"),
                directory.locked(workdir),
            ):
                pytest.fail("two runs in one folder")
            raise ZeroDivisionError


@pytest.mark.parametrize("place", ["/proc/nowhere", "file/below"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path, place):
    (tmp_path / "file").touch()
    workdir = tmp_path / place
    with (
        pytest.raises(RunError, match=f"cannot write in {workdir}: "),
        directory.locked(workdir),
    ):
        pytest.fail("it was made")


CONTENT = {"a": 1, "b": {"c": [1, 2], "d": "x"}}


@pytest.mark.parametrize(
    "other, named",
    [
        ({**CONTENT, "a": 2}, ["a is 2, there 1"]),
        ({**CONTENT, "a": "1"}, ["a is '1', there 1"]),
        ({**CONTENT, "b": {"c": [1, 2]}}, ["b.d is 'missing', there 'x'"]),
        (
            {**CONTENT, "b": {"c": [2, 1], "d": "y"}},
            ["b.c is [2, 1], th", "b.d is 'y'"],
        ),
        ({**CONTENT, "e": None}, ["e is None, there 'missing'"]),
        ({**CONTENT, "b": 3}, ["b is 3, there {"]),
    ],
)
def test_all_differing_keys_are_named(tmp_path, other, named):
    path = tmp_path / "config.json"
    directory.check_unchanged(path, CONTENT)  # There is nothing to differ from.
    directory.write_json(path, CONTENT)
    directory.check_unchanged(path, CONTENT)
    with pytest.raises(UserError, match="holds another run") as caught:
        directory.check_unchanged(path, other)
    assert all(text in str(caught.value) for text in named)
    assert str(caught.value).count(", there ") == len(named)


def test_a_part_may_be_compared(tmp_path):
    path = tmp_path / "run.json"
    directory.write_json(path, CONTENT)
    directory.check_unchanged(path, {"a": 1}, exact=False)
    for other in ({"a": 2}, {"a": 1, "e": 5}):
        with pytest.raises(UserError, match="another run"):
            directory.check_unchanged(path, other, exact=False)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b'{"a": 1}}'])
def test_what_is_no_json_object_is_damaged(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path} is damaged: ") as caught:
        directory.read_json(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*run\.json: No such file"):
        directory.read_json(tmp_path / "run.json")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    directory.write_json(path, CONTENT)
    assert json.loads(path.read_text()) == directory.read_json(path) == CONTENT

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match=f"cannot write {path}: No space left"):
        directory.write_json(path, {"a": 2})
    assert directory.read_json(path) == CONTENT


def test_versions_are_those_in_use():
    found = directory.versions()
    assert found["jax"] == jax.__version__ and found["optax"] == optax.__version__
    assert found["device"].startswith(f"{len(jax.devices())} x cpu")


def test_commit_is_that_of_git_and_says_whether_files_changed(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.check_output(
            ["git", "-C", tmp_path, *identity, *arguments], text=True
        ).strip()

    path = tmp_path / "x.py"
    path.touch()
    assert directory.commit(path) is None
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "x")
    assert directory.commit(path) == git("rev-parse", "HEAD")
    path.write_text("changed")
    assert directory.commit(path) == git("rev-parse", "HEAD") + "+"
