"""Experiments by name from any folder, and copies of them."""

import ast
import importlib.util
import os
import pathlib
import zipfile

import pytest

from fdl.runs.experiment_files import files, find, name_of, shipped_folder

ROOT = pathlib.Path(__file__).parents[2]
SHIPPED = files(shipped_folder())


@pytest.mark.parametrize("name", ["digits_mlp", "vision/digits_mlp"])
@pytest.mark.parametrize("place", ["{}", "experiments/{}.py"])
def test_shipped_experiments_are_found_from_any_folder(name, place):
    if place == "{}" or "/" in name:
        assert find(place.format(name)) == shipped_folder() / "vision/digits_mlp.py"


def test_list_shows_the_shipped_ones_and_ones_own(fdl, experiment, tmp_path):
    experiment(name="mine")
    own = tmp_path / "experiments/vision/digits_mlp.py"
    own.parent.mkdir(parents=True)
    pathlib.Path("mine.py").rename(own)
    experiment(name="mine")
    called = fdl("list")
    assert (called.code, called.error) == (0, "")
    lines = dict(line.split("  ", 1) for line in called.out.splitlines())
    names = [name.strip() for name in lines]
    assert names == sorted({"mine", *map(name_of, SHIPPED)})
    # One's own is the one that the name means.
    assert called.out.count("Tell digits apart, in little time.") == 2
    assert find("vision/digits_mlp") == own and find("mine") == tmp_path / "mine.py"


def test_what_cannot_be_read_is_no_experiment(fdl, experiment, tmp_path):
    experiment()
    (tmp_path / ".#tiny.py").symlink_to("nobody@nowhere.1234:5678")
    (tmp_path / "gone.py").symlink_to("nowhere")
    (tmp_path / "round.py").symlink_to("round.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / ".hidden.py").write_text("def get_config(): ...\n")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "huge.py").write_text("def get_config(): ...\n")
    os.truncate(tmp_path / "huge.py", 1 << 32)  # It takes no room, and would in memory.
    called = fdl("list", ".")
    assert called == (0, "tiny  Tell digits apart, in little time.\n", "")
    assert fdl("list").code == 0


def test_nothing_is_left_of_a_copy_that_fails(fdl, monkeypatch):
    def fail(path):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", fail)
    called = fdl("new", "mine.py", "--like", str(SHIPPED[0]))
    assert called.code == 2
    assert called.error == "fdl: file=mine.py: Input/output error\n"
    assert not pathlib.Path("mine.py").exists()


def test_a_copy_is_the_experiment_and_can_be_trained(fdl):
    called = fdl("new", "mine.py", "--like", "digits_cnn")
    assert (called.code, called.error) == (0, "")
    assert "a copy of vision/digits_cnn" in called.out
    assert called.out.endswith("\nfdl train mine.py\n")
    copy = pathlib.Path("mine.py")
    assert copy.read_bytes() == (shipped_folder() / "vision/digits_cnn.py").read_bytes()
    assert fdl("show", "mine:smoke").out.startswith("mine: ")


@pytest.mark.parametrize("path", SHIPPED, ids=name_of)
def test_a_shipped_experiment_needs_no_file_beside_it(path):
    beside = {other.stem for other in path.parent.iterdir()}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level and node.module.split(".")[0] not in beside
        if isinstance(node, ast.Import):
            assert not beside & {alias.name.split(".")[0] for alias in node.names}


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["there.py", "--like", "xor"], "file=there.py: it exists already"),
        (["link.py", "--like", "xor"], "file=link.py: it exists already"),
        (["mine", "--like", "xor"], "file=mine: expected a name with .py"),
        (["a/mine.py", "--like", "xor"], "file=a/mine.py: No such file or directory"),
        (["mine.py", "--like", "digits_cn"], "Did you mean 'vision/digits_cnn'"),
        (["mine.py"], "required: --like"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(fdl, arguments, expected):
    pathlib.Path("there.py").write_text("mine\n")
    pathlib.Path("link.py").symlink_to("target.py")
    called = fdl("new", *arguments)
    assert called.code == 2 and expected in called.error
    assert pathlib.Path("there.py").read_text() == "mine\n"
    assert {path.name for path in pathlib.Path().iterdir()} == {"there.py", "link.py"}


def test_the_wheel_has_the_experiments_and_finds_them_there(tmp_path, monkeypatch):
    backend = pytest.importorskip("hatchling.build")
    monkeypatch.chdir(ROOT)
    wheel = tmp_path / backend.build_wheel(str(tmp_path))
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    package = tmp_path / "site/fdl"
    packed = {path.relative_to(package) for path in files(package / "experiments")}
    beside = {path.relative_to(ROOT) for path in files(ROOT / "experiments")}
    assert packed == beside and len(packed) > 20
    # A package of another author has no claim to be shipped with fdl.
    (tmp_path / "site/experiments").mkdir()
    place = package / "runs/experiment_files.py"
    spec = importlib.util.spec_from_file_location("packed", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.shipped_folder() == package / "experiments"
    monkeypatch.chdir(tmp_path)
    assert module.find("digits_mlp") == package / "experiments/vision/digits_mlp.py"
