"""Run folders that move, vanish, change under one's hands, or came from elsewhere."""

import ast
import json
import pathlib
import re
import shutil

import pytest

from fdl import cli
from fdl.cli import console
from fdl.runs.checkpoint import Checkpoints
from fdl.runs.directory import write_json
from fdl.runs.trusted_files import record_started

PROGRAMS = 150

EVALUATE = "evaluate=fdl.on_dataset(objective, fdl.data.scale(testing, image=1 / 16)),"
HARM = """evaluate=harmful(fdl.on_dataset(objective, testing)),"""
REMOVED = 'os.rename("run", "old")'
REPLACED = 'os.rename("run", "old"); os.rename("other", "run")'


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def change(file, **content):
    write_json(file, json.loads(file.read_text()) | content)


@pytest.mark.parametrize("command", ["eval", "plot", "resume"])
def test_a_run_is_at_home_wherever_its_folder_lies(
    fdl, done, tmp_path, monkeypatch, command
):
    shown, before = fdl("eval", done), (done / "metrics.jsonl").read_bytes()
    there = tmp_path / "other place/renamed"
    there.parent.mkdir()
    shutil.copytree(done, there)
    shutil.rmtree(done)
    monkeypatch.chdir(there.parent)
    if command == "resume":
        shutil.rmtree(there / "checkpoints/00000020")
    called = fdl(command, "renamed")
    assert (called.code, called.error) == (0, ""), called
    if command == "eval":
        assert called.out == shown.out
    elif command == "plot":
        assert (there / "curves.png").is_file()
    else:
        assert "going on at step 16 of tiny" in called.out
        assert (there / "metrics.jsonl").read_bytes() == before
    assert not done.exists()


def test_a_run_is_opened_on_another_machine_by_the_file_of_its_experiment(
    fdl, done, tmp_path
):
    """Where neither its path nor its folder exist, and its name is another."""
    shutil.move(tmp_path / "tiny.py", tmp_path / "mine.py")
    (tmp_path / "experiments/deep").mkdir(parents=True)
    gone = tmp_path / "gone/experiments/deep/tiny.py"
    change(done / "run.json", experiment="deep/tiny", path=str(gone), folder="/gone")
    called = fdl("eval", done)
    assert called.code == 2 and f"{gone} is gone: say where it is" in called.error
    for command in ("eval", "resume"):
        called = fdl(command, done, "--experiment", tmp_path / "mine.py")
        assert (called.code, called.error) == (0, ""), called


@pytest.mark.parametrize("harm", [REMOVED, REPLACED], ids=["removed", "replaced"])
def test_a_run_whose_folder_vanishes_stops_and_does_not_bring_it_back(
    fdl, experiment, tmp_path, harm
):
    wrapper = (
        "def harmful(evaluate):\n    def call(variables):\n        import os\n"
        f"        {harm}\n        return evaluate(variables)\n    return call\n\n\n"
    )
    path = experiment((EVALUATE, HARM), ("def build(", wrapper + "def build("))
    other = tmp_path / "other"
    other.mkdir()
    (other / "metrics.jsonl").write_text('{"step": 1}\n')
    (other / "checkpoints").mkdir()
    before = files(other)
    called = fdl("train", path, "--workdir", "run", "--config.eval_every=7 steps")
    assert called.code == 1 and called.error.count("\n") == 1
    line = r"fdl: run(/metrics.jsonl)? was removed or replaced by somebody else; last"
    assert re.match(line, called.error), called.error
    if harm == REMOVED:
        assert not pathlib.Path("run").exists()
    else:
        assert files(pathlib.Path("run")) == before


@pytest.mark.parametrize("which", ["latest", slow("best"), slow("20")])
def test_what_a_run_at_work_removes_is_not_called_foreign(
    fdl, done, monkeypatch, which
):
    """Between its choice and its reading, the run saves step 24 and removes step 20."""
    folder, usual = done / "checkpoints", Checkpoints.restore

    def restore(checkpoints, step, like):
        if step == 20 and (folder / "00000020").exists():
            (folder / "00000020").rename(folder / "00000024")
            shutil.rmtree(folder / "00000016")
        return usual(checkpoints, step, like)

    monkeypatch.setattr(Checkpoints, "restore", restore)
    called = fdl("eval", done, "--checkpoint", which)
    if which == "20":
        assert called.code == 2
        line = f"fdl: {done} has no checkpoint of step 20. There is: 24.\n"
        assert called.error == line
    else:
        assert (called.code, called.error) == (0, "") and "at step 24" in called.out


@pytest.mark.parametrize(
    "command, name",
    [
        *(("plot", "plots"), ("plot", "curves.png"), ("resume", "checkpoints")),
        *(slow("resume", name) for name in ("plots", "curves.png")),
    ],
)
def test_a_folder_from_elsewhere_writes_nothing_elsewhere(
    fdl, done, tmp_path, name, command
):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "comparison.png").write_bytes(b"mine")
    shutil.rmtree(done / name, ignore_errors=True)
    (done / name).unlink(missing_ok=True)
    (done / name).symlink_to(precious)
    called = fdl(command, done)
    assert called.code == 2 and f"run/{name} is a link: expected a file" in called.error
    assert files(precious) == {pathlib.Path("comparison.png"): b"mine"}


def test_no_name_and_no_value_reaches_the_terminal_raw(fdl, experiment, tmp_path):
    red = "\x1b[31m\x9b\u202e"
    experiment(("Tell digits", f"Tell {red}"), name=f"a{red}b")
    (tmp_path / "a.py").write_text("def get_config(): ...")
    path = experiment(('"max accuracy"', f'"max accuracy"; config.x{"="}{red!r}'))
    record_started(pathlib.Path(path), tmp_path / "run", pytest.fail)
    calls = [
        ["list", tmp_path],
        ["show", path],
        ["train", path, f"--config.model.name={red}"],
        ["eval", f"nowhere{red}"],
        ["eval", f"nowhere{red}", "--debug"],
        ["eval", "run", f"--{red}"],
    ]
    for arguments in calls:
        called = fdl(*arguments)
        text = called.out + called.error
        assert not {*red} - {"[", "3", "1", "m"} & {*text}, text
        assert r"\x1b[31m\x9b\u202e" in text


def test_nothing_is_printed_but_by_the_console():
    """Where it is made printable."""
    for path in pathlib.Path(cli.__file__).parent.glob("*.py"):
        names = [
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        ]
        assert "print" not in names or path.name == "console.py", path
        assert "(sys.stdout" not in path.read_text() or path.name == "console.py", path


def test_a_table_for_a_file_is_as_it_is_and_printable_on_a_terminal(
    monkeypatch, capsys
):
    console.write("a\x1b[31m,b\n")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    console.write("a\x1b[31m,b\n")
    assert capsys.readouterr().out == "a\x1b[31m,b\na\\x1b[31m,b\n"


LONG = "x" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", LONG],
        ["show", f"{LONG}.py:a"],
        ["eval", LONG],
        ["predict", LONG, LONG],
        ["list", LONG],
        ["export", LONG, "b"],
        ["train", "tiny.py", "--workdir", LONG],
    ],
    ids=lambda x: " ".join(x).replace(LONG, "LONG"),
)
def test_a_name_that_is_too_long_is_a_mistake(fdl, experiment, arguments):
    experiment()
    called = fdl(*arguments)
    assert called.code == 2 and called.error.count("\n") == 1
    assert "File name too long" in called.error or "there is no" in called.error
