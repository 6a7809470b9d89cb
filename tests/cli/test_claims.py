"""`fdl train` says of an experiment's claims whether they hold."""

import json
import re

import pytest

EVALUATE = "evaluate=fdl.on_dataset(objective, fdl.data.scale(testing, image=1 / 16)),"
CLAIMS = """claims=[
            fdl.Claim("it learns", lambda m: m["accuracy"], at_least=0.2),
            fdl.Claim("it is perfect", lambda m: m["accuracy"], at_least=1.0),
            fdl.Claim("[all] is well", lambda m: m["loss"], at_least=0.0, at_most=9),
        ],"""


@pytest.fixture
def claiming(experiment):
    """The tiny experiment with three claims, the second of them wrong."""
    return experiment((EVALUATE, f"{EVALUATE}\n        {CLAIMS}"))


def test_a_run_says_what_became_of_its_claims(fdl, claiming, tmp_path):
    workdir = tmp_path / "run"
    called = fdl("train", claiming, "--seeds", 3, "--workdir", workdir)
    assert called.code == 0, called.error
    verdicts = re.findall(
        r"^(holds|does not hold): (.*?): measured .* over 3 seeds, claimed (.*)$",
        called.out,
        re.MULTILINE,
    )
    assert verdicts == [
        ("holds", "it learns", "at least 0.2"),
        ("does not hold", "it is perfect", "at least 1"),
        ("holds", "[all] is well", "at least 0 and at most 9"),
    ]
    written = json.loads((workdir / "claims.json").read_text())
    rows = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    last = [row for row in rows if "eval/accuracy" in row][-1]
    assert [row["verdict"] for row in written] == [row[0] for row in verdicts]
    assert written[0]["values"] == last["eval/accuracy"]

    evaluated = fdl("eval", workdir)
    assert evaluated.code == 0
    lines = [line for line in called.out.splitlines() if ", claimed" in line]
    assert [line for line in evaluated.out.splitlines() if ", claimed" in line] == lines


def test_one_seed_leaves_claims_undecided(fdl, claiming, tmp_path):
    called = fdl("train", claiming, "--workdir", tmp_path / "run")
    assert called.code == 0, called.error
    assert called.out.count("undecided: ") == 3
    assert called.out.count("one seed, no interval") == 3


def test_without_claims_nothing_is_said_of_them(fdl, experiment, tmp_path):
    called = fdl("train", experiment(), "--workdir", tmp_path / "run")
    assert called.code == 0 and "claimed" not in called.out
    assert not (tmp_path / "run/claims.json").exists()


def test_a_claim_about_what_is_not_evaluated_is_told_before_training(
    fdl, experiment, tmp_path
):
    claims = CLAIMS.replace('m["accuracy"], at_least=1.0', 'm["acuracy"], at_least=1.0')
    path = experiment((EVALUATE, f"{EVALUATE}\n        {claims}"))
    called = fdl("train", path, "--workdir", tmp_path / "run")
    assert called.code == 2
    (line,) = called.error.splitlines()
    expected = "asks for 'acuracy', not evaluated. Did you mean 'accuracy'?"
    assert "the claim 'it is perfect'" in line and line.endswith(expected)
    assert not (tmp_path / "run/metrics.jsonl").exists()
