"""A run that ends early says so, and is resumed as if it had not been stopped."""

import json
import pathlib
import re

import numpy as np
import pytest

from fdl.runs.checkpoint import Checkpoints

EARLY = [
    "--config.early_stopping.metric=min loss",
    "--config.early_stopping.patience=2",
    "--config.early_stopping.min_delta=10",
    "--config.eval_every=5 steps",
    "--config.num_steps=60",
]


def train(fdl, experiment, *more, workdir="run"):
    return fdl("train", experiment(), "--workdir", workdir, *EARLY, *more)


def test_it_says_that_it_ended_early_what_was_best_and_how_to_go_there(fdl, experiment):
    called = train(fdl, experiment)
    assert called.code == 0 and called.error == ""
    text = pathlib.Path("run/metrics.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    losses = {row["step"]: row["eval/loss"] for row in rows if "eval/loss" in row}
    assert [*losses] == [5, 10, 15]
    best = min(losses, key=lambda step: losses[step])
    assert (
        "stopped early, at step 15 of 60: it did not get a better loss by more than 10 "
        f"in 2 evaluations. The best was {losses[best]:.5g}, at step {best}: "
        f"fdl eval run --checkpoint {best}\n"
    ) in called.out
    assert "validation at step 15\n" in called.out
    assert Checkpoints(pathlib.Path("run/checkpoints")).steps()[-1] == 15
    assert fdl("eval", "run", "--checkpoint", "best").code == 0


def test_what_was_best_may_not_have_been_kept(fdl, experiment):
    called = train(fdl, experiment, "--config.early_stopping.metric=max loss")
    assert called.code == 0
    assert re.search(r"at step 5: no checkpoint of it was kept, see", called.out)


@pytest.mark.parametrize(
    "again", ["train", pytest.param("resume", marks=pytest.mark.slow)]
)
def test_once_more_there_is_nothing_left_to_do(fdl, experiment, again):
    assert train(fdl, experiment).code == 0
    before = pathlib.Path("run/metrics.jsonl").read_bytes()
    called = train(fdl, experiment) if again == "train" else fdl("resume", "run")
    assert called.code == 0 and "nothing is left to do" in called.out
    assert "stopped early, at step 15 of 60" in called.out
    assert pathlib.Path("run/metrics.jsonl").read_bytes() == before


def test_several_seeds_are_waited_for(fdl, experiment):
    called = train(fdl, experiment, "--seeds", 2)
    assert called.code == 0
    assert "no seed got a better loss by more than 10 in 2 evaluations" in called.out
    assert "The best on average was" in called.out


@pytest.mark.parametrize(
    "change, told",
    [
        (
            "metric=min los",
            "metric='los': expected a metric of the evaluation. Did you mean 'loss'",
        ),
        ("metric=loss", "early_stopping.metric='loss': expected 'min METRIC' or 'max"),
        ("patience=0", "config.early_stopping.patience=0: expected at least 1"),
        ("patients=3", "no key 'early_stopping.patients'. Did you mean 'patience'"),
    ],
)
def test_a_mistake_is_one_line_before_the_first_step(fdl, experiment, change, told):
    called = train(fdl, experiment, f"--config.early_stopping.{change}")
    assert called.code == 2 and called.error.count("\n") == 1 and told in called.error
    assert not re.search(r"^step \d+/", called.out, re.MULTILINE)


def test_show_shows_it(fdl, experiment):
    called = fdl("show", experiment(), *EARLY)
    assert "--config.early_stopping.metric=min loss" in called.out


@pytest.mark.parametrize("seeds", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_best_of_all_evaluations_is_kept_also_by_a_run_that_failed(
    fdl, experiment, monkeypatch, seeds
):
    """Evaluated four times as often as saved; it fails at step 14, and goes on."""
    from fdl.train import loop

    reader, calls = loop._reader, []

    def fail(*arguments):
        read = reader(*arguments)

        def read_and_more(length):
            calls.append(length)
            if len(calls) == 8:
                raise OSError("no more data")
            return read(length)

        return read_and_more

    often = [f"--config.{key}_every={n} steps" for key, n in (("eval", 2), ("save", 8))]
    goal = "--config.best=max loss", "--config.keep=1", "--seeds", seeds
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_reader", fail)
        called = fdl("train", experiment(), "--workdir", "run", *often, *goal)
    assert called.code == 1 and "last good: checkpoint of step 8, in" in called.error
    assert fdl("resume", "run").code == 0
    text = pathlib.Path("run/metrics.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    losses = {r["step"]: np.mean(r["eval/loss"]) for r in rows if "eval/loss" in r}
    assert [*losses] == [*range(2, 22, 2)]
    best = max(losses, key=losses.get)
    called = fdl("eval", "run", "--checkpoint", "best")
    assert f"validation at step {best}\n" in called.out
