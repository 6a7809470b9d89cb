"""`fdl compare` over seeds, over folds, and of more than two runs."""

import csv
import io
import pathlib
import re
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from fdl.cli import compare
from fdl.metrics.replicate_comparison import over_folds
from fdl.runs import tested_model

VALUES = {  # Of the accuracy, for each seed or fold of a run.
    "one": [0.90, 0.91, 0.93],
    "two": [0.92, 0.94, 0.94],
    "three": [0.91, 0.90, 0.94],
    "longer": [0.95, 0.93, 0.96, 0.94],
}


@pytest.fixture(autouse=True)
def runs(monkeypatch):
    """Runs by name, untrained: ``folds_`` has folds, ``alone`` a single seed."""

    def open_run(workdir, warn, file):
        kind, _, name = workdir.rpartition("_")
        config = {"seed": 7 if kind == "later" else 0, "num_folds": 3, "fold": 0}
        count = len(VALUES.get(name, [0]))
        if kind == "folds":
            config, count = config | {"num_folds": count, "fold": -1}, 1
        batches = SimpleNamespace(fingerprint="else" if kind == "foreign" else "data")
        return SimpleNamespace(
            workdir=workdir,
            num_seeds=count,
            loaded=SimpleNamespace(name="tiny", config=Config(config)),
            experiments=[SimpleNamespace(examples=None)],
            setup=SimpleNamespace(batches=batches),
        )

    def tested(run, checkpoint):
        values = VALUES[run.workdir.rpartition("_")[2]]
        metrics = {"accuracy": values, "loss": [1 - x for x in values]}
        return tested_model.TestedReplicates(metrics, "test", 20)

    monkeypatch.setattr(compare, "open_run", open_run)
    monkeypatch.setattr(compare, "tested_replicates", tested)


class Config(dict):
    """Config with keys as attributes."""

    __getattr__ = dict.__getitem__


def rows_of(called):
    assert (called.code, called.error) == (0, "")
    lines = [line.split("│")[1:-1] for line in called.out.splitlines() if "│" in line]
    return [[cell.strip() for cell in line] for line in lines]


def test_equal_seeds_are_compared_as_pairs(fdl):
    called = fdl("compare", "one", "two", "--output", "seeds.csv")
    loss, accuracy = rows_of(called)
    expected = stats.ttest_rel(VALUES["two"], VALUES["one"])
    low, high = expected.confidence_interval(0.95)
    difference = np.mean(VALUES["two"]) - np.mean(VALUES["one"])
    assert loss[0] == "loss" and accuracy == [
        *("accuracy", "0.91333", "0.93333", f"{difference:+.3g}"),
        *(f"{low:+.3g} .. {high:+.3g}", f"{expected.pvalue:.2g}"),
    ]
    assert "test over the same 3 seeds: paired t-test; of the training" in called.out
    rows = [*csv.DictReader(io.StringIO(pathlib.Path("seeds.csv").read_text()))]
    assert [row["seed"] for row in rows] == ["0", "1", "2"]
    assert [float(row["accuracy_B"]) for row in rows] == VALUES["two"]


@pytest.mark.parametrize("other", ["later_two", "longer"])
def test_other_seeds_are_no_pairs(fdl, other):
    called = fdl("compare", "one", other, "--output", "seeds.csv")
    second = VALUES[other.removeprefix("later_")]
    expected = stats.ttest_ind(second, VALUES["one"], equal_var=False)
    assert rows_of(called)[1][-1] == f"{expected.pvalue:.2g}"
    assert f"over 3 seeds, {len(second)} seeds: Welch's t-test" in called.out
    text = pathlib.Path("seeds.csv").read_text().splitlines()
    assert len(text) == (7 if other == "later_two" else 5) and text[-1].count(",,") == 2


def test_folds_share_their_training_data(fdl):
    called = fdl("compare", "folds_one", "folds_two")
    expected = over_folds(VALUES["one"], VALUES["two"])
    assert rows_of(called)[1][-1] == f"{expected.p_value:.2g}"
    assert "test over the same 3 folds: t-test of Nadeau and Bengio" in called.out


def test_several_runs_are_compared_with_the_first(fdl):
    called = fdl("compare", "one", "two", "three", "later_longer")
    accuracy = [row for row in rows_of(called) if row[0] == "accuracy"]
    assert [row[1] for row in accuracy] == ["B", "C", "D"]
    single = [
        stats.ttest_rel(VALUES["two"], VALUES["one"]).pvalue,
        stats.ttest_rel(VALUES["three"], VALUES["one"]).pvalue,
        stats.ttest_ind(VALUES["longer"], VALUES["one"], equal_var=False).pvalue,
    ]
    # Holm: the least times three, the next times two, and none below the one before.
    order = np.argsort(single)
    adjusted = np.maximum.accumulate(np.array(single)[order] * [3, 2, 1])
    expected = dict(zip(order.tolist(), adjusted, strict=True))
    assert [row[-1] for row in accuracy] == [f"{expected[i]:.2g}" for i in range(3)]
    assert "each against A: p is Holm's for 3 comparisons" in called.out
    assert "paired t-test and Welch's t-test for other seeds" in called.out


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (
            ["one", "alone"],
            "one has 3 seeds, alone has one seed: --seed N compares one",
        ),
        (["folds_one", "alone"], "alone has one seed: there is nothing to pair"),
        (["folds_one", "one"], "folds_one has 3 folds, one has 3 seeds: there is noth"),
        (["folds_one", "folds_longer"], "folds_longer has 4 folds: there is nothing"),
        (["one", "two", "foreign_two"], "foreign_two (tiny) are tested on different"),
        (
            ["one", "two", "--output=a.jsonl"],
            "--output=a.jsonl: expected a name with .csv",
        ),
        (["one", *["two"] * 26], "27 runs: expected at most 26"),
        (["one"] * 3 + ["--experiment=a", "--experiment=b"], "expected 1 or 3 of them"),
    ],
)
def test_what_cannot_be_compared_is_one_line(fdl, arguments, expected):
    called = fdl("compare", *arguments)
    assert called.code == 2 and expected in called.error
    assert re.fullmatch(r"fdl: [^\n]+\n", called.error)
