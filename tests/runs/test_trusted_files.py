"""What a run folder names is imported only if this user has trained it before."""

import os
import pathlib
import pwd
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from fdl.errors import UserError
from fdl.runs import trusted_files
from fdl.runs.trusted_files import check_trusted, record_started, state_folder


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path):
    folder = tmp_path / "new/state"
    monkeypatch.setenv("FDL_STATE_DIR", str(folder))
    return folder


@pytest.fixture
def workdir(tmp_path):
    return tmp_path / "run"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("x = 1\n")
    return path


def refused(path, workdir, text):
    with pytest.raises(UserError, match=text) as caught:
        check_trusted(path, workdir)
    assert f"--experiment {path}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_is_trusted_after_it_was_started_and_in_every_run(file, workdir):
    refused(file, workdir, "was not trained by you")
    record_started(file, workdir, pytest.fail)
    check_trusted(file, workdir)
    check_trusted(file, workdir / "of another")


def test_a_changed_file_is_refused_until_it_is_started_again(file, workdir):
    record_started(file, workdir, pytest.fail)
    file.write_text("x = 2\n")
    refused(file, workdir, "has changed since you trained it")
    record_started(file, workdir, pytest.fail)
    check_trusted(file, workdir)
    file.write_text("x = 1\n")  # This too was started once.
    check_trusted(file, workdir)


@pytest.mark.parametrize("make", [pathlib.Path.hardlink_to, pathlib.Path.symlink_to])
def test_a_copy_is_another_file_and_a_link_is_the_file(file, workdir, tmp_path, make):
    """Beside a copy there may be other modules, which it would import."""
    record_started(file, workdir, pytest.fail)
    other = tmp_path / "elsewhere/mine.py"
    other.parent.mkdir()
    make(other, file)
    if make is pathlib.Path.symlink_to:
        check_trusted(other, workdir)
    else:
        refused(other, workdir, "was not trained by you")


def test_shipped_experiments_are_trusted_without_a_record(workdir, state):
    shipped = trusted_files.shipped_folder() / "vision/digits_mlp.py"
    assert shipped.is_file()
    check_trusted(shipped, workdir)
    record_started(shipped, workdir, pytest.fail)
    assert not state.exists()


def test_what_only_looks_shipped_is_not(monkeypatch, tmp_path, workdir):
    folder = tmp_path / "fdl/experiments"
    monkeypatch.setattr(trusted_files, "shipped_folder", lambda: folder)
    evil = tmp_path / "fdl/evil.py"
    for place in (folder / "a", tmp_path / "fdl/experiments_of_others", workdir):
        place.mkdir(parents=True)
    evil.touch()
    (folder / "link.py").symlink_to(evil)
    beside = tmp_path / "fdl/experiments_of_others/a.py"
    beside.touch()
    inside = workdir / "experiments.py"
    inside.touch()
    for path in (evil, folder / "../evil.py", folder / "link.py", beside, inside):
        refused(path, workdir, "was not trained by you")


def test_a_run_folder_among_the_shipped_experiments_ships_nothing(
    monkeypatch, tmp_path
):
    folder = tmp_path / "experiments"
    monkeypatch.setattr(trusted_files, "shipped_folder", lambda: folder)
    run, path = folder / "foreign/run", folder / "foreign/evil.py"
    run.mkdir(parents=True)
    path.touch()
    refused(path, run, "was not trained by you")
    check_trusted(path, tmp_path / "run")
    record_started(path, run, pytest.fail)
    check_trusted(path, run)


def test_records_are_private_and_readable(file, workdir, state):
    before = os.umask(0)
    try:
        record_started(file, workdir, pytest.fail)
    finally:
        os.umask(before)
    (record,) = (state / "started").iterdir()
    assert record.read_text() == f"{file}\n"
    modes = [
        stat.S_IMODE(path.stat().st_mode) for path in (state, record.parent, record)
    ]
    assert modes == [0o700, 0o700, 0o600]


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_records_that_others_can_write_are_not_believed(file, workdir, state, mode):
    record_started(file, workdir, pytest.fail)
    (state / "started").chmod(mode)
    refused(file, workdir, "was not trained by you")
    warnings = []
    record_started(file, workdir, warnings.append)
    assert "others may write" in warnings[0]


def test_records_of_somebody_else_are_not_believed(file, workdir, monkeypatch):
    record_started(file, workdir, pytest.fail)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    refused(file, workdir, "was not trained by you")


def test_links_are_not_followed(file, workdir, state, tmp_path):
    record_started(file, workdir, pytest.fail)
    real = (state / "started").rename(tmp_path / "real")
    (state / "started").symlink_to(real)
    refused(file, workdir, "was not trained by you")
    file.write_text("x = 2\n")
    warnings = []
    record_started(file, workdir, warnings.append)
    assert len(warnings) == 1 and len(list(real.iterdir())) == 1


def test_a_link_in_the_place_of_a_record_is_not_written_through(
    file, workdir, state, tmp_path
):
    record_started(file, workdir, pytest.fail)
    (record,) = (state / "started").iterdir()
    record.unlink()
    record.symlink_to(tmp_path / "target")
    record_started(file, workdir, pytest.fail)
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("place", ["/proc/nowhere", "file", "relative"])
def test_training_goes_on_where_nothing_can_be_recorded(
    file, workdir, tmp_path, monkeypatch, place
):
    (tmp_path / "file").touch()
    where = place if place == "relative" else str(tmp_path / place)
    monkeypatch.setenv("FDL_STATE_DIR", where)
    monkeypatch.chdir(tmp_path)
    warnings = []
    record_started(file, workdir, warnings.append)
    (warning,) = warnings
    assert warning.startswith(f"cannot record that you trained {file}: ")
    assert "--experiment FILE" in warning and "\n" not in warning
    refused(file, workdir, "was not trained by you")
    assert not (tmp_path / "relative").exists()


def test_runs_that_start_at_once_do_not_disturb_each_other(tmp_path, workdir, state):
    paths = [tmp_path / f"{name}.py" for name in "aaab" * 4]
    for path in paths:
        path.touch()
    barrier = threading.Barrier(len(paths))

    def start(path):
        barrier.wait(30)
        record_started(path, workdir, pytest.fail)

    with ThreadPoolExecutor(len(paths)) as threads:
        list(threads.map(start, paths))
    for path in paths:
        check_trusted(path, workdir)
    assert len(list((state / "started").iterdir())) == 2


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({"FDL_STATE_DIR": "/a", "XDG_STATE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_STATE_HOME": "/b", "HOME": "/c"}, "/b/fdl"),
        ({"FDL_STATE_DIR": "", "XDG_STATE_HOME": "", "HOME": "/c"}, "/c/.local/state"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/c"}, "/c/.local/state/fdl"),
        ({}, f"{pwd.getpwuid(os.getuid()).pw_dir}/.local/state/fdl"),
        ({"FDL_STATE_DIR": "relative"}, None),
        ({"FDL_STATE_DIR": "~/state"}, None),
        ({"HOME": "relative"}, None),
    ],
)
def test_the_state_folder_is_that_of_the_xdg_specification(
    monkeypatch, variables, expected
):
    for name in ("FDL_STATE_DIR", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if expected is None:
        with pytest.raises(UserError, match="absolute path"):
            state_folder()
    else:
        assert state_folder().is_relative_to(expected)


def test_who_has_no_home_is_told_of_the_variable(monkeypatch):
    for name in ("FDL_STATE_DIR", "HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(UserError, match="no home folder: set FDL_STATE_DIR"):
        state_folder()
