"""Record of a run: who may have code run, and which version wrote it."""

import json

import pytest

from fdl.errors import UserError
from fdl.runs.directory import write_json
from fdl.runs.experiment import load
from fdl.runs.record import record, reload
from fdl.runs.trusted_files import record_started

EXPERIMENT = """
import pathlib
from ml_collections import ConfigDict

pathlib.Path(__file__).with_suffix(".ran").touch()


def get_config(size="full"):
    return ConfigDict({"num_steps": 3, "size": size})


def build(config):
    return None
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(EXPERIMENT)
    return path


@pytest.fixture
def workdir(tmp_path, file):
    """A run folder, by somebody else: nothing is recorded of it here."""
    folder = tmp_path / "run"
    folder.mkdir()
    record(load(f"{file}:small"), folder, 2, "data", pytest.fail)
    file.with_suffix(".ran").unlink()
    return folder


def change(workdir, **content):
    path = workdir / "run.json"
    write_json(path, json.loads(path.read_text()) | content)


def test_an_own_run_is_reloaded(workdir, file):
    record_started(file, workdir, pytest.fail)
    loaded, run = reload(workdir)
    assert (loaded.path, loaded.config.size, run["seeds"]) == (file, "small", 2)


def test_a_named_file_is_imported_and_not_remembered(workdir, file):
    assert reload(workdir, str(file))[0].config.size == "small"
    file.with_suffix(".ran").unlink()
    with pytest.raises(UserError, match="was not trained by you"):
        reload(workdir)
    assert not file.with_suffix(".ran").exists()


def test_a_changed_file_is_not_imported_unless_it_is_named(workdir, file):
    record_started(file, workdir, pytest.fail)
    file.write_text(EXPERIMENT.replace("3,", "4,"))
    with pytest.raises(UserError, match=f"{file}, which .* has changed since you"):
        reload(workdir)
    assert not file.with_suffix(".ran").exists()
    assert reload(workdir, str(file))[0].config.num_steps == 4


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("link", [True, False])
def test_a_foreign_folder_runs_no_code(
    workdir, file, tmp_path, monkeypatch, inside, link
):
    """Neither from itself nor beside it, by a full path, a relative one or a link."""
    record_started(file, workdir, pytest.fail)
    target = tmp_path / "target.py"
    evil = (workdir if inside else tmp_path) / "evil.py"
    (target if link else evil).write_text(EXPERIMENT)
    if link:
        evil.symlink_to(target)
    monkeypatch.chdir(tmp_path)
    for path in (evil, evil.relative_to(tmp_path), f"{workdir}/../{evil.name}"):
        change(workdir, path=str(path))
        with pytest.raises(UserError, match=r"was not trained by you|is gone"):
            reload(workdir)
    assert not list(tmp_path.rglob("*.ran"))


def test_the_argument_of_a_foreign_folder_names_no_other_file(workdir, file):
    """`FILE:ARG` may be a file itself."""
    record_started(file, workdir, pytest.fail)
    link = workdir / "link.py"
    link.symlink_to(file)
    for path in (link, file):
        path.with_name(f"{path.name}:evil").write_text(EXPERIMENT)
    change(workdir, path=str(link), arg="evil")
    loaded, _ = reload(workdir)
    assert (loaded.path, loaded.arg) == (file, "evil")
    assert not list(workdir.rglob("*.ran")) and file.with_suffix(".ran").exists()


@pytest.mark.parametrize("number", [0, 2, "1", True])
def test_a_folder_of_another_version_is_one_line(workdir, file, number):
    change(workdir, format=number)
    line = f"{workdir}/run.json: format {number!r} is of another version of fdl"
    with pytest.raises(UserError, match=line):
        reload(workdir, str(file))
    assert not file.with_suffix(".ran").exists()
    with pytest.raises(UserError, match=line):  # Before anything is compared.
        record(load(str(file)), workdir, 1, "others", pytest.fail)


def test_a_folder_without_a_number_is_of_another_version(workdir, file):
    run = json.loads((workdir / "run.json").read_text())
    assert run.pop("format") == 1
    write_json(workdir / "run.json", run)
    with pytest.raises(UserError, match=r"run\.json: no format number is of another"):
        reload(workdir, str(file))
