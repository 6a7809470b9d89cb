"""Record of a run: who may have code run, and which version wrote it."""

import json
import pathlib
import re
import sys

import pytest

from fdl.errors import UserError
from fdl.runs.directory import write_json
from fdl.runs.experiment import load
from fdl.runs.record import check_same_run, read_record, record, reload
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


HOSTILE = [
    ("run.json", "seeds", 0),
    ("run.json", "seeds", True),
    ("run.json", "overrides", [1]),
    ("run.json", "path", 3),
    ("config.json", "seed", -1),
    ("config.json", "seed", "0"),
    ("config.json", "keep", 0),
    ("config.json", "best", [[[[]]]]),
]


@pytest.mark.parametrize("name, key, value", HOSTILE)
def test_a_record_that_makes_no_sense_is_one_line(workdir, name, key, value):
    if name == "config.json":
        write_json(workdir / name, {"seed": 0, "keep": 1, "best": "min x"})
    path = workdir / name
    write_json(path, json.loads(path.read_text()) | {key: value})
    line = re.escape(f"{path} is damaged: {key}={value!r}: expected ")
    with pytest.raises(UserError, match=line):
        read_record(workdir)


def test_relative_paths_begin_where_the_run_was_started(
    tmp_path, monkeypatch, record_data
):
    """From any folder; from the current one, if that folder is not on this machine."""
    file, workdir = record_data
    monkeypatch.chdir("/")
    loaded, _ = reload(workdir)
    assert (loaded.config.size, loaded.folder) == ("started", tmp_path / "start")
    assert pathlib.Path.cwd() == pathlib.Path("/")
    with pytest.raises(UserError, match="No such file"):  # Named, so all is from here.
        reload(workdir, str(file))
    there = tmp_path / "there"
    (tmp_path / "start").rename(there)
    monkeypatch.chdir(there)
    assert reload(workdir)[0].folder == there
    for folder in ("there", "/null\0byte", "/" + "x" * 300, [3]):
        change(workdir, folder=folder)
        assert reload(workdir)[0].folder == there


def test_nothing_is_imported_from_the_folder_where_a_run_was_started(
    tmp_path, monkeypatch, record_data
):
    file, workdir = record_data
    (tmp_path / "start/evil.py").write_text("raise SystemExit('it was run')")
    file.write_text(file.read_text().replace("import pathlib", "import pathlib, evil"))
    record_started(file, workdir, pytest.fail)
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "path", ["", *sys.path])  # As of an interactive session.
    with pytest.raises(UserError, match="No module named 'evil'"):
        reload(workdir)


@pytest.fixture
def record_data(tmp_path, file, monkeypatch):
    """The file of an experiment that reads a relative path, and its run."""
    text = EXPERIMENT.replace('"size": size', '"size": pathlib.Path("a").read_text()')
    file.write_text(text)
    folder, workdir = tmp_path / "start", tmp_path / "run"
    folder.mkdir()
    (folder / "a").write_text("started")
    workdir.mkdir()
    monkeypatch.chdir(folder)
    record(load(str(file)), workdir, 1, "data", pytest.fail)
    record_started(file, workdir, pytest.fail)
    return file, workdir


def test_what_is_shipped_is_found_where_fdl_lies_on_this_machine(
    workdir, file, tmp_path, monkeypatch
):
    shipped = tmp_path / "venv/experiments"
    (shipped / "deep").mkdir(parents=True)
    file.rename(shipped / "deep/mine.py")
    monkeypatch.setattr("fdl.runs.record.shipped_folder", lambda: shipped)
    monkeypatch.setattr("fdl.runs.trusted_files.shipped_folder", lambda: shipped)
    change(workdir, experiment="deep/mine", path="/gone/experiments/deep/mine.py")
    assert reload(workdir)[0].path == shipped / "deep/mine.py"
    (tmp_path / "venv/evil.py").write_text(EXPERIMENT)
    change(workdir, experiment="../evil")
    with pytest.raises(UserError, match=r"was not trained by you"):
        reload(workdir)


def test_other_training_data_are_told_as_such(workdir, file):
    loaded = load(f"{file}:small")
    with pytest.raises(UserError, match="the training data is not that of the run"):
        check_same_run(loaded, workdir, 2, "others", pytest.fail)
    with pytest.raises(UserError, match="holds another run: data is 'others', there"):
        check_same_run(loaded, workdir, 3, "others", pytest.fail)


def test_a_run_is_not_resumed_from_other_weights(file, tmp_path):
    loaded, digests = load(f"{file}:small"), {"config.json": "0", "model": "1"}
    record(loaded, tmp_path, 1, "data", pytest.fail, digests)
    assert json.loads((tmp_path / "run.json").read_text())["weights"] == digests
    record(loaded, tmp_path, 1, "data", pytest.fail, digests)
    line = "the weights that the run in .* began from have changed, in model: put them"
    with pytest.raises(UserError, match=line):
        record(loaded, tmp_path, 1, "data", pytest.fail, {**digests, "model": "2"})


def test_a_model_of_a_hub_is_pinned_among_the_overrides(file, monkeypatch):
    file.write_text(EXPERIMENT.replace('"size"', '"weights"'))
    monkeypatch.setattr("fdl.runs.experiment.pinned", "{}@abc".format)
    loaded = load(f"{file}:small", ["weights=hf:org/name"])
    assert loaded.overrides == ("weights=hf:org/name", "weights=hf:org/name@abc")
    assert loaded.config.weights == "hf:org/name@abc"


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
