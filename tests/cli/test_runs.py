"""`fdl runs`: folders of runs as a table; they are read only, and no code is run."""

import csv
import fcntl
import io
import json
import os
import pathlib
import re

import pytest

from fdl.config import base
from fdl.runs.run_table import read_row

CONFIG = json.loads(base().to_json_best_effort()) | {
    "num_steps": 20,
    "best": "max accuracy",
    "model": {"name": "MLP", "hidden_sizes": [16, 8]},
    "learning_rate": 0.1,
}
EVALUATED = [
    {"step": 10, "epoch": 1.0, "eval/loss": 0.5, "eval/accuracy": 0.9},
    {"step": 20, "epoch": 2.0, "eval/loss": 0.7, "eval/accuracy": 0.8},
]


def write(name, rows=EVALUATED, config=(), **run):
    """Writes the folder of a run, as training leaves it."""
    folder = pathlib.Path(name)
    folder.mkdir(parents=True)
    record = {"format": 1, "experiment": "a/b", "path": "/x.py", "arg": "", "seeds": 1}
    record |= {"overrides": []} | run
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "config.json").write_text(json.dumps(CONFIG | dict(config)))
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(text)
    return folder


def seen(fdl, *arguments):
    """Rows of the CSV file by the name of the run."""
    called = fdl("runs", *arguments, "--format", "csv")
    assert (called.code, called.error) == (0, "")
    rows = csv.DictReader(io.StringIO(called.out))
    return {pathlib.Path(row["run"]).name: row for row in rows}


STATES = {
    "finished": ({}, "finished"),
    "by epochs": ({"config": {"num_steps": None, "num_epochs": 2}}, "finished"),
    "stopped": ({"rows": EVALUATED[:1]}, "stopped"),
    "in an epoch": ({"config": {"num_steps": None, "num_epochs": 3}}, "stopped"),
    "not begun": ({"rows": []}, "stopped"),
    "tested": (
        {"rows": [*EVALUATED[:1], {"step": 10, "test/accuracy": 1.0}]},
        "finished",
    ),
    "stopped early": (
        {
            "config": {
                "num_steps": 99,
                "early_stopping": {
                    "metric": "min loss",
                    "patience": 1,
                    "min_delta": 0.0,
                },
            }
        },
        "finished",
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_the_state_is_that_of_the_folder(tmp_path, case):
    given, expected = STATES[case]
    folder = write(tmp_path / "run", **given)
    (folder / ".lock").touch()
    assert read_row(folder)["state"] == expected
    # The lock counts, and not that there is a file.
    with (folder / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert read_row(folder)["state"] == "running"


@pytest.mark.parametrize("step, expected", [(15, "failed"), (5, "stopped")])
def test_a_run_that_came_further_is_past_its_failure(tmp_path, step, expected):
    folder = write(tmp_path / "run", EVALUATED[:1])
    (folder / "failure").mkdir()
    (folder / "failure/failure.json").write_text(json.dumps({"step": step}))
    assert read_row(folder)["state"] == expected


def test_the_table_has_what_differs_and_what_was_reached(fdl):
    write("runs/one", config={"learning_rate": 0.01})
    write("runs/deep/two", [*EVALUATED, {"step": 20, "test/accuracy": 0.75}])
    called = fdl("runs")
    assert re.search(r"experiment a/b, metric max accuracy\n", called.out)
    assert "│ max accuracy │" not in called.out
    write("runs/other", experiment="c/d", config={"best": "min loss"})
    called = fdl("runs")
    assert (called.code, called.error) == (0, "")
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in called.out.splitlines()
        if "│" in line
    ]
    assert rows == [
        [
            "runs/deep/two",
            "finished",
            "20",
            "a/b",
            "max accuracy",
            "0.9",
            "0.75",
            "learning_rate=0.1",
        ],
        [
            "runs/one",
            "finished",
            "20",
            "a/b",
            "max accuracy",
            "0.9",
            "",
            "learning_rate=0.01",
        ],
        ["runs/other", "finished", "20", "c/d", "min loss", "0.5", "", ""],
    ]


def test_seeds_and_folds_are_one_row(fdl):
    rows = [{"step": 20, "eval/accuracy": [0.8, 0.9, None], "eval/loss": [1, 2, 3]}]
    write("runs/seeds", rows, seeds=3)
    folds = {"num_folds": 3, "fold": -1, "best": "min loss"}
    write("runs/folds", rows, config=folds)
    found = seen(fdl)
    assert found["seeds"]["seeds"] == "3 seeds" and found["seeds"]["best"] == ""
    assert found["folds"]["seeds"] == "3 folds"
    assert float(found["folds"]["best"]) == 2
    assert "2 ± 0.58" in fdl("runs").out
    (first, second) = json.loads(fdl("runs", "--format", "json").out)
    assert first["best"] == [1, 2, 3] and second["eval/accuracy"] == [0.8, 0.9, None]
    assert first["config.model.hidden_sizes"] == [16, 8]


def test_rows_are_sorted_and_chosen_by_any_column(fdl):
    for name, rate in (("a", 0.1), ("b", 0.01), ("c", 1)):
        row = {"step": 20, "eval/accuracy": 0.5, "test/loss": -rate}
        write(f"runs/{name}", [row], {"learning_rate": rate})
    write("runs/d", [], {"learning_rate": 0.05})
    for arguments, expected in (
        (["--sort", "test/loss"], "cabd"),
        (["--sort", "test/loss", "--reverse"], "bacd"),
        (["--sort", "learning_rate"], "bdac"),
        (["--where", "learning_rate<=0.1", "--sort", "config.learning_rate"], "bda"),
        (["--where", "state=finished", "--where", "learning_rate!=0.1"], "bc"),
        (["--where", "model.name=mlp", "--where=learning_rate > 0.5"], "c"),
        (["--where", "model.hidden_sizes=(16, 8)"], "abcd"),
    ):
        assert "".join(seen(fdl, *arguments)) == expected, arguments
    # What is asked for is shown.
    shown = fdl("runs", "--sort", "test/loss", "--where", "model.name=MLP").out
    assert "test/loss" in shown and "config.model.name" in shown


DAMAGE = {
    "no run.json": ("run.json", None, "no run.json"),
    "no config": ("config.json", None, "config.json"),
    "no JSON": ("run.json", "{", "is damaged"),
    "deep": ("config.json", '{"a":' * 100_000, ""),
    "a list": ("config.json", "[]", "no JSON object"),
    "another version": ("run.json", '{"format": 7}', "another version of fdl"),
    "a step of text": ("metrics.jsonl", '{"step": "x"}\n', "is damaged: line 1"),
    "no step": ("metrics.jsonl", "{}\n", "is damaged: line 1"),
    "no metrics": ("metrics.jsonl", "[1]\n", "is damaged: line 1"),
    "a metric of text": (
        "metrics.jsonl",
        '{"step": 1, "eval/accuracy": "x"}\n',
        "metrics.jsonl is damaged: line 1",
    ),
    "bytes": ("metrics.jsonl", b"\xff\xfe\n", "is damaged"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_broken_run_is_a_row_that_says_so(fdl, case):
    name, content, expected = DAMAGE[case]
    write("runs/whole")
    path = write("runs/broken") / name
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = seen(fdl)
    assert found["whole"]["state"] == "finished"
    assert found["broken"]["state"] == "broken"
    assert found["broken"]["problem"] and expected in found["broken"]["problem"]
    assert fdl("runs").code == 0


def test_folders_are_only_read_and_nothing_of_them_is_run(fdl, tmp_path):
    evil = tmp_path / "evil.py"
    evil.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    write("runs/a", path=str(evil), experiment="\x1b[2Jevil", seeds=2)
    os.mkfifo("runs/a/.lock")  # Reading it would wait for ever.
    write("runs/.hidden/b")

    def snapshot():
        paths = sorted(pathlib.Path().rglob("*"))
        return [(path, path.lstat().st_mtime_ns) for path in paths]

    before = snapshot()
    called = fdl("runs")
    assert snapshot() == before
    assert "\\x1b[2Jevil" in called.out and "\x1b" not in called.out
    assert "hidden" not in called.out


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["nowhere"], "there is no folder 'nowhere': fdl runs FOLDER"),
        (["empty"], "there is no run in empty"),
        (
            ["runs", "--sort", "test/los"],
            "--sort=test/los: no run has it. Did you mean",
        ),
        (["runs", "--where", "learning_rat=1"], "Did you mean 'learning_rate'"),
        (["runs", "--where", "step"], "--where=step: expected COLUMN=VALUE"),
        (["runs", "--where", "step=3"], "no run fits --where=step=3"),
        (["runs", "--format", "xml"], "invalid choice: 'xml'"),
    ],
)
def test_mistakes_are_one_line(fdl, arguments, expected):
    write("runs/a", [{"step": 20, "test/loss": 1.0}])
    pathlib.Path("empty").mkdir()
    called = fdl("runs", *arguments)
    assert called.code == 2 and expected in called.error
