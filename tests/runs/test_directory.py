"""The run folder: locked, compared and written whole."""

import fcntl
import json
import os
import subprocess
import threading

import jax
import optax
import pytest

from fdl.errors import RunError, UserError
from fdl.files import read_json
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


def test_who_looks_whether_a_run_is_at_work_does_not_keep_it_from_beginning(tmp_path):
    with directory.locked(tmp_path):
        assert directory.is_locked(tmp_path)
    descriptor = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # As `is_locked` holds it for a moment.
    timer = threading.Timer(0.05, os.close, [descriptor])
    timer.start()
    with directory.locked(tmp_path):
        timer.join()


NO_PLACE = "expected the path of a folder: "
PLACES = {
    "/proc/nowhere": (RunError, "cannot write in /proc/nowhere: No such file"),
    "file": (UserError, f"{NO_PLACE}File exists"),
    "file/below": (UserError, f"{NO_PLACE}Not a directory"),
    "x" * 256: (UserError, f"{NO_PLACE}File name too long"),
    "null\0byte": (UserError, f"{NO_PLACE}embedded null byte"),
    "loop/below": (UserError, f"{NO_PLACE}Too many levels of symbolic links"),
}


@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
def test_a_folder_that_cannot_be_made_is_named(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    kind, text = PLACES[place]
    with pytest.raises(kind, match=text), directory.locked(tmp_path / place):
        pytest.fail("it was made")


@pytest.mark.parametrize("name", [".lock", "plots", "metrics.jsonl", "tensorboard"])
def test_a_folder_with_a_link_to_elsewhere_is_not_written(tmp_path, name):
    workdir, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    workdir.mkdir()
    (workdir / name).symlink_to(elsewhere)
    with pytest.raises(UserError, match="is a link: expec"), directory.locked(workdir):
        pytest.fail("it is another's")
    assert not elsewhere.exists()
    link = tmp_path / "link"  # The folder itself may well be somewhere else.
    link.symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir()
    with directory.locked(link):
        assert (tmp_path / "real/.lock").is_file()


def test_values_that_differ_are_told_at_no_greater_length(tmp_path):
    value = 1
    for _ in range(400):
        value = [value] * 2 if len(str(value)) < 2000 else [value]
    directory.write_json(tmp_path / "config.json", {"a": value, "b": "x" * 10**5})
    with pytest.raises(UserError, match="a is 1, there ") as caught:
        directory.check_unchanged(tmp_path / "config.json", {"a": 1, "b": 2})
    assert len(str(caught.value)) < 1500


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


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    directory.write_json(path, CONTENT)
    assert json.loads(path.read_text()) == read_json(path) == CONTENT

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match=f"cannot write {path}: No space left"):
        directory.write_json(path, {"a": 2})
    assert read_json(path) == CONTENT


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
    git("config", "core.quotepath", "false")  # Names as they are, be they text or not.
    (tmp_path / os.fsdecode(b"\xff")).touch()
    assert directory.commit(path) == git("rev-parse", "HEAD") + "+"
