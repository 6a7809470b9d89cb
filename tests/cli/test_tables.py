"""Tables of the user's own, from `fdl train` to `fdl predict`."""

import csv
import io
import json
import pathlib
import re

import numpy as np
import pytest

PROGRAMS = 280

FILE = pathlib.Path(__file__).parents[2] / "experiments/tabular/table_mlp.py"
RANDOM = np.random.default_rng(0)
AGES, TOWNS = RANDOM.integers(20, 70, 120), RANDOM.choice(["Oslo", "Rome"], 120)
PEOPLE = [
    {
        "age": "" if i % 17 == 0 else str(age),
        "town": "?" if i % 19 == 0 else str(town),
        "income": f"{50 * age + 900 * (town == 'Rome'):.1f}",
        "pet": "cat" if (age > 40) == (town == "Rome") else "dog",
    }
    for i, (age, town) in enumerate(zip(AGES, TOWNS, strict=True))
]
OPTIONS = ["--config.batch_size=10", "--config.num_epochs=20"]
CLASSES = ["--config.data.target=pet", "--config.data.ignore=('income',)"]
NUMBERS = ["--config.data.target=income", "--config.data.ignore=('pet',)"]


def write(rows, name="people.csv", delimiter=","):
    with open(name, "w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)


def train(fdl, *arguments):
    base = [f"{FILE}:smoke", "--config.data.csv=people.csv", *OPTIONS]
    return fdl("train", *base, *arguments, "--workdir", "run")


def answers(text):
    return [*csv.DictReader(io.StringIO(text))]


def test_classes_are_learnt_of_numbers_and_text_and_told_of_new_rows(
    fdl, tmp_path, monkeypatch
):
    write(PEOPLE)
    called = train(fdl, *CLASSES)
    assert called.code == 0, called.error
    new = [  # In another order, with other columns, divided by something else.
        {"who": "a", "town": "Rome", "age": "60"},
        {"who": "b", "town": "Oslo", "age": "60"},
        {"who": "c", "town": "Rome", "age": "22"},
        {"who": "d", "town": "Atlantis", "age": ""},
    ]
    write(new, "new.csv", ";")
    called = fdl("predict", "run", "new.csv")
    assert called.code == 0
    assert called.error == (
        "fdl: new.csv: column 'town': unknown category in 1 of 4 rows, taken as zeros: "
        "'Atlantis'\n"
    )
    rows = answers(called.out)
    assert [row["class"] for row in rows[:3]] == ["cat", "dog", "dog"]
    assert [*rows[0]][2:] == ["probability_cat", "probability_dog"]
    assert len(rows) == 4
    # From another folder, and with other training data, or none.
    monkeypatch.chdir("/")
    evaluated = fdl("eval", tmp_path / "run")
    assert (evaluated.code, evaluated.error) == (0, "")
    write(PEOPLE[:-1], tmp_path / "people.csv")
    refused = fdl("eval", tmp_path / "run")
    assert refused.code == 2 and "the training data is not that of" in refused.error
    for harm in (lambda path: None, pathlib.Path.unlink):
        harm(tmp_path / "people.csv")
        again = fdl("predict", tmp_path / "run", tmp_path / "new.csv")
        assert (again.code, again.out) == (0, called.out)
    gone = fdl("eval", tmp_path / "run")
    assert gone.code == 2 and "people.csv" in gone.error


def test_numbers_are_answered_in_their_own_units(fdl):
    write(PEOPLE)
    called = train(fdl, *NUMBERS, "--config.num_epochs=60")
    assert called.code == 0, called.error
    write([{"age": "25", "town": "Oslo"}, {"age": "60", "town": "Rome"}], "new.csv")
    first, second = answers(fdl("predict", "run", "new.csv").out)
    assert abs(float(first["prediction"]) - 1250) < 400
    assert abs(float(second["prediction"]) - 3900) < 400


@pytest.mark.slow
def test_folds_are_measured_beside_other_models_on_the_same_rows(fdl):
    write(PEOPLE)
    called = train(fdl, *CLASSES, "--folds=3", "--config.baselines=true")
    assert called.code == 0, called.error
    rows = map(json.loads, pathlib.Path("run/metrics.jsonl").read_text().splitlines())
    last = [row for row in rows if "eval/accuracy" in row][-1]
    for name in ("linear", "forest", "mlp"):
        theirs = np.array(last[f"eval/{name}_accuracy"])
        assert theirs.shape == (3,)
        np.testing.assert_allclose(
            last[f"eval/ahead_of_{name}"], last["eval/accuracy"] - theirs, atol=1e-6
        )
    # No line tells these classes apart.
    assert np.mean(last["eval/forest_accuracy"]) > 0.8
    assert np.mean(last["eval/linear_accuracy"]) < 0.7
    called = fdl("predict", "run", "people.csv")
    assert called.code == 2 and "run has 3 folds" in called.error
    assert "train without --folds" in called.error


MISTAKES = {
    "no file": (["--config.data.csv=poeple.csv"], "Did you mean 'people.csv'?"),
    "no target": (
        ["--config.data.target=pets"],
        "target='pets': expected one of age, town, income, pet",
    ),
    "no column": (["--config.data.ignore=('agee',)"], "Did you mean 'age'?"),
    "a rare class": (
        ["--config.data.target=town", "--folds=70"],
        "examples for 70 folds, got",
    ),
    "no table": (["--config.data.csv=", "--config.data.table=vine"], "mean 'wine'?"),
    "no model": (["--config.model.name=MPL"], "Did you mean 'MLP'"),
    "classes of a column of numbers": (
        ["--config.data.target=income", "--config.data.classes=yes"],
        "config.data.classes='yes': expected a value of type bool",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_every_mistake_of_training_is_one_line(fdl, case):
    write([{**row, "town": row["town"].replace("?", "Rome")} for row in PEOPLE])
    arguments, expected = MISTAKES[case]
    called = train(fdl, *CLASSES, *arguments)
    assert called.code == 2 and expected in called.error
    assert re.fullmatch(r"fdl: [^\n]+\n", called.error)
    assert not pathlib.Path("run/metrics.jsonl").exists()


FILES = {
    "a text among numbers": (
        "age,town,pet\n1,Oslo,cat\nold,Rome,dog\n",
        "row 2, column 'age': expected a number, got 'old'; if the column is",
    ),
    "an empty file": ("", "people.csv: expected rows, got an empty"),
    "one value": (
        "age,pet\n1,cat\n2,cat\n",
        "target='pet': expected at least two different values",
    ),
    "few rows": (
        "age,pet\n" + "1,cat\n2,dog\n" * 4,
        "expected to leave at least 2 of 6 examples in each part",
    ),
    "a rare class": (
        "age,pet\n1,a\n2,a\n3,b\n",
        "class 'b': expected at least 3 examples",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_every_mistake_in_a_file_is_one_line(fdl, case):
    text, expected = FILES[case]
    pathlib.Path("people.csv").write_text(text)
    called = train(fdl, "--config.data.target=pet")
    assert called.code == 2 and expected in called.error
    assert re.fullmatch(r"fdl: [^\n]+\n", called.error)


def test_mistakes_in_new_rows_are_one_line(fdl):
    write(PEOPLE)
    assert train(fdl, *CLASSES).code == 0
    for rows, expected in (
        ([{"age": "1", "towns": "x"}], "new.csv: row 1: expected a column 'town'."),
        ([{"age": "old", "town": "x"}], "new.csv: row 1, column 'age': expected a num"),
    ):
        write(rows, "new.csv")
        called = fdl("predict", "run", "new.csv")
        assert called.code == 2 and expected in called.error
        assert re.fullmatch(r"fdl: [^\n]+\n", called.error)
