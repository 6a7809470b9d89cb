"""What a user sees of a run, on a terminal and elsewhere."""

import io
import re

import numpy as np
import pytest
from rich.console import Console

from fdl.cli import progress
from fdl.types import NOTHING, Batches

BATCHES = Batches(lambda start: iter(()), per_step=32, steps_per_epoch=45)
ONLINE = Batches(lambda start: iter(()), unit="environment steps", per_step=512)
TRAIN = {"accuracy": 0.98765, "grad_norm": 1.23456, "loss": 0.0123456}


def seen(batches, num_steps, lines, *, terminal=True, width=100):
    """The text that a run shows, line by line, without colours."""
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width)
    with progress.shown(console, batches, 0, num_steps) as (show, _):
        for line in lines:
            show(*line)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    return [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]


def test_a_bar_says_all_that_matters_in_one_line():
    lines = [(step, "train", TRAIN, 500.0) for step in (1000, 2000, 3000)]
    shown = seen(BATCHES, 18_000, lines)
    assert all(len(line) <= 100 for line in shown)
    for part in (
        "step 3000/18000",
        "epoch 66.67",
        "loss 0.01235",
        "accuracy 0.9877",
        "16,000 examples/s",
        "0:00:30 left",
    ):
        assert part in shown[-1]


def test_evaluations_stay_above_the_bar():
    losses = (45, "eval", {"loss": 0.5}, None), (90, "eval", {"loss": 0.25}, None)
    shown = seen(BATCHES, 90, losses)
    assert "step 45  eval  epoch 1  loss 0.5" in shown
    assert "step 90  eval  epoch 2  loss 0.25" in shown


@pytest.mark.parametrize("terminal", [True, False])
def test_samples_are_text_that_a_terminal_does_not_obey(terminal, capsys):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=40)
    with progress.shown(console, BATCHES, 0, 90) as (_, show_samples):
        show_samples("to be,\n[b]or\x1b[31m not")
    text = file.getvalue() + capsys.readouterr().out
    assert "  | to be,\n  | [b]or\\x1b[31m not" in text


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_a_bar_never_wraps(width):
    many = {**TRAIN, **{f"another_metric_{i}": i / 7 for i in range(20)}}
    lines = [(1, "train", many, None), (999_999, "train", many, 1e6)]
    shown = seen(ONLINE, 10**6, lines, width=width)
    assert all(len(line) <= width for line in shown)


def test_plain_lines_elsewhere(capsys):
    lines = [
        (2, "train", TRAIN, None),
        (4, "train", TRAIN, 1.0),
        (6, "train", TRAIN, 0.001),
        (10, "eval", {"return": np.array([1.0, 2.0])}, None),
    ]
    seen(ONLINE, 10, lines, terminal=False)
    first, second, third, last = capsys.readouterr().out.splitlines()
    assert first.startswith("step 2/10  train  environment steps 1,024  loss 0.01235")
    assert second.endswith("512 environment steps/s  0:00:06 left")
    assert third.endswith("0.512 environment steps/s  1:06:40 left")
    assert last == "step 10/10  eval   environment steps 5,120  return 1.5"


def printed(values, what="", width=80, signatures=NOTHING, *, terminal=True):
    """The lines of the tables that are printed at last, without styles."""
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal)
    progress.show_metrics(console, values, what, signatures)
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue()).splitlines()


def test_an_interval_of_folds_stays_within_the_range_of_its_metric():
    folds = np.array([0.93, 0.97, 0.99])
    loss, accuracy = printed({"loss": folds, "accuracy": folds}, width=120)[3:5]
    assert "0.8874 .. 1 " in accuracy and "0.8874 .. 1.039" in loss


def test_signatures_stand_below_the_scores_that_they_are_of():
    signatures = {"bleu": "nrefs:1|tok:13a", "chrf": "nc:6"}
    lines = printed({"loss": 1.0, "bleu": 35.25}, signatures=signatures)
    assert [line for line in lines if "nc:6" in line] == []
    assert lines[-1] == "bleu: nrefs:1|tok:13a" and "35.25" in lines[-3]


LONG = {"mlp_permuted/log10_ratio": np.array([5e-9, -7.25e-9]), "f1": np.ones(2)}


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("width", [42, 60, 80, 200])
def test_names_and_numbers_of_metrics_are_never_cut(width, terminal):
    lines = printed(LONG, "fold", width, terminal=terminal)
    text = "\n".join(lines)
    if terminal:  # What is wider than a terminal breaks inside of a word.
        longest = max(len(word) for word in text.split())
        assert max(map(len, lines)) <= max(width, longest + 20)
    for part in ("mlp_permuted/log10_ratio", "-7.25e-09", "-1.125e-09 ± 6.1e-09"):
        assert part in text
    assert "…" not in text


@pytest.mark.parametrize("width, terminal", [(60, True), (120, True), (60, False)])
def test_a_table_that_does_not_fit_is_printed_row_by_row(width, terminal):
    text = "\n".join(printed(LONG, width=width, terminal=terminal))
    for part in ("least .. greatest", "95 % interval", "-7.25e-09 .. 5e-09"):
        assert part in text
    assert ("│" in text) == (width == 120 or not terminal)


def test_each_fold_has_a_column():
    rows = [line.split("│")[1:-1] for line in printed(LONG, "fold") if "│" in line]
    assert [cell.strip() for cell in rows[0]] == ["f1", "1", "1"]


def test_the_loss_is_the_first_and_the_accuracy_the_second():
    lines = printed(TRAIN)
    names = [re.search(r"loss|accuracy|grad_norm", line) for line in lines]
    found = [match[0] for match in names if match]
    assert found == ["loss", "accuracy", "grad_norm"]
    shown = progress._describe(BATCHES, 45, TRAIN | {"a": 1.0})
    assert re.findall(r"(\w+) [\d.]+", shown) == [
        *("epoch", "loss", "accuracy", "a", "grad_norm")
    ]
