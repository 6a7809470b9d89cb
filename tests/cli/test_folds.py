"""`fdl train --folds`: cross-validation from the command line."""

import json
import re

import numpy as np
import pytest

LOAD = 'fdl.data.load("digits", split) for split in ("train", "test")'
KNOWS = (
    "config.batch_size = 16",
    "config.num_folds, config.fold = 0, -1\n    config.batch_size = 16",
)
FOLDS = (
    f"train, test = ({LOAD})",
    f"splits = fdl.data.Splits(*({LOAD}))\n    train, test, _ = fdl.data.fold(\n"
    "        splits, num_folds=config.num_folds, fold=config.fold\n    )",
)


def evaluations(workdir):
    rows = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [row for row in rows if "eval/accuracy" in row]


@pytest.fixture
def known(experiment):
    """The tiny experiment, which knows folds."""
    return experiment(KNOWS, FOLDS)


@pytest.mark.slow
def test_folds_are_trained_together_as_each_would_be_alone(fdl, known, tmp_path):
    workdir = tmp_path / "all"
    called = fdl("train", f"{known}:smoke", "--folds", 3, "--workdir", workdir)
    assert called.code == 0, called.error
    last = evaluations(workdir)[-1]
    assert len(set(last["eval/loss"])) == 3
    assert all(f"fold {k}" in called.out for k in range(3))
    rows = [re.findall(r"[^│\s]+", line) for line in called.out.splitlines()]
    assert ["accuracy", *(f"{x:.4g}" for x in last["eval/accuracy"])] in rows
    mean = np.mean(last["eval/accuracy"])
    error = np.std(last["eval/accuracy"], ddof=1) / np.sqrt(3)
    assert f"{mean:.5g} ± {error:.2g}" in called.out

    alone = tmp_path / "one"
    chosen = ["--config.num_folds=3", "--config.fold=1"]
    assert fdl("train", f"{known}:smoke", *chosen, "--workdir", alone).code == 0
    expected = evaluations(alone)[-1]["eval/loss"]
    # Under vmap sums may be taken in another order.
    np.testing.assert_allclose(last["eval/loss"][1], expected, rtol=1e-4)


@pytest.mark.slow
def test_a_run_of_folds_is_resumed_and_evaluated_like_any_other(fdl, known, tmp_path):
    half = tmp_path / "half"
    assert fdl("train", known, "--folds", 2, "--workdir", half).code == 0
    whole = (half / "metrics.jsonl").read_bytes()
    for path in (half / "checkpoints").iterdir():
        if path.name.endswith("20"):
            for file in sorted(path.rglob("*"), reverse=True):
                file.unlink() if file.is_file() else file.rmdir()
            path.rmdir()
    resumed = fdl("resume", half)
    assert resumed.code == 0 and "going on" in resumed.out, resumed.error
    assert (half / "metrics.jsonl").read_bytes() == whole
    evaluated = fdl("eval", half)
    rows = [re.findall(r"[^│\s]+", line) for line in evaluated.out.splitlines()]
    each = evaluations(half)[-1]["eval/accuracy"]
    assert ["accuracy", *(f"{x:.4g}" for x in each)] in rows
    mean = np.mean(evaluations(half)[-1]["eval/accuracy"])
    assert evaluated.code == 0 and f"{mean:.5g}" in evaluated.out


@pytest.mark.slow
def test_without_folds_all_is_as_before(fdl, known, experiment, tmp_path):
    plain = experiment(name="plain")
    losses = []
    for name, place in (("known", known), ("plain", plain)):
        called = fdl("train", f"{place}:smoke", "--workdir", tmp_path / name)
        assert called.code == 0
        losses.append(evaluations(tmp_path / name)[-1]["eval/loss"])
    np.testing.assert_allclose(*losses, rtol=1e-6)


@pytest.mark.parametrize(
    "changes, arguments, message",
    [
        ([], ["--folds=3"], "tiny has no folds: its config has no 'num_folds'"),
        ([KNOWS, FOLDS], ["--folds=1"], "--folds=1: expected at least 2"),
        ([KNOWS, FOLDS], ["--folds=3", "--seeds=2"], "3 folds and 2 seeds"),
        ([KNOWS], ["--folds=3"], "same data: build them with fdl.data.fold"),
        (
            [KNOWS, FOLDS],
            ["--config.num_folds=3", "--config.fold=3"],
            "fold=3: expected 0 to 2",
        ),
        ([KNOWS, FOLDS], ["--folds=2000"], "num_folds=2000: expected 2 to 1797"),
    ],
)
def test_mistakes_are_one_clear_line(
    fdl, experiment, tmp_path, changes, arguments, message
):
    called = fdl(
        "train", experiment(*changes), *arguments, "--workdir", tmp_path / "run"
    )
    assert called.code == 2 and message in called.error
    assert len(called.error.strip().splitlines()) == 1
