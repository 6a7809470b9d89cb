"""`fdl predict` and `fdl compare`, as they are called."""

import csv
import io
import json
import pathlib
import re
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

import fdl as package
from fdl import cli

PROGRAMS = 220

TABULAR = pathlib.Path(__file__).parents[2] / "experiments/tabular"
EVALUATE = "evaluate=fdl.on_dataset(objective, fdl.data.scale(testing, image=1 / 16)),"
ABILITIES = """
        model=model,
        abilities={
            "predict": fdl.evaluation.classifier(
                model, fdl.data.preprocessing.images((8, 8, 1), white=16)
            )
        },
        examples=fdl.types.Examples(fdl.data.scale(testing, image=1 / 16), objective),
"""
RUNS = {
    "good": ["asked.py"],
    "poor": ["asked.py", "--config.num_steps=4"],
    "seeds": ["asked.py:smoke", "--seeds", "2"],
    "table": [f"{TABULAR}/diabetes_mlp.py:smoke"],
}


@pytest.fixture(scope="module")
def trained(finished, tmp_path_factory):
    """A folder with small runs; leave them as they are."""
    folder = tmp_path_factory.mktemp("trained")
    text = (finished / "tiny.py").read_text()
    assert EVALUATE in text
    (folder / "silent").symlink_to(finished / "run")
    (folder / "asked.py").write_text(text.replace(EVALUATE, EVALUATE + ABILITIES))
    cache = pathlib.Path(jax.config.jax_compilation_cache_dir).parent
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("FDL_CACHE_DIR", str(cache))
        monkeypatch.setattr("fdl.runs.process.keep_freed_memory", lambda: False)
        monkeypatch.chdir(folder)
        monkeypatch.setattr("fdl.cli.train.draw_plots", lambda *_, **__: None)
        for name, arguments in RUNS.items():
            assert cli.main(["train", *arguments, "--workdir", name]) == 0
    return folder


@pytest.fixture
def folder(trained, monkeypatch):
    """The folder of the runs, to work in."""
    monkeypatch.chdir(trained)
    return trained


@pytest.fixture(scope="module")
def digits(data_dir):
    del data_dir
    return package.data.load("digits", "test")


def read(text):
    return [*csv.DictReader(io.StringIO(text))]


# Predict.


def test_images_are_read_by_the_model_as_in_the_test(fdl, folder, digits, tmp_path):
    """As files eight times as large, and as arrays: the same answers."""
    images, labels = digits["image"][:60], digits["label"][:60]
    paths = []
    for i, image in enumerate(images):
        pixels = np.kron(image[..., 0].astype(float) * 255 / 16, np.ones((8, 8)))
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels.round().astype(np.uint8)).save(paths[-1])
    called = fdl("predict", "good", *paths)
    assert (called.code, called.error) == (0, "")
    rows = read(called.out)
    assert [row["example"] for row in rows] == [*map(str, paths)]
    chosen = np.array([int(row["class"]) for row in rows])
    assert (chosen == labels).mean() > 0.5
    np.savez(tmp_path / "a.npz", image=images, label=labels)
    assert read(fdl("predict", "good", tmp_path / "a.npz").out) == [
        {**row, "example": str(i)} for i, row in enumerate(rows)
    ]
    probabilities = [
        [float(row[f"probability_{k}"]) for k in range(10)] for row in rows
    ]
    np.testing.assert_allclose(np.sum(probabilities, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(np.argmax(probabilities, axis=1), chosen)


def test_dark_ink_on_paper_is_inverted(fdl, folder, digits, tmp_path):
    pixels = np.kron(digits["image"][0, ..., 0] * 15.9375, np.ones((3, 3)))
    light = Image.fromarray(pixels.round().astype(np.uint8))
    light.save(tmp_path / "light.png")
    Image.eval(light, lambda x: 255 - x).save(tmp_path / "dark.png")
    one = read(fdl("predict", "good", tmp_path / "light.png").out)
    other = read(fdl("predict", "good", tmp_path / "dark.png", "--invert").out)
    plain = read(fdl("predict", "good", tmp_path / "dark.png").out)
    assert {**one[0], "example": ""} == {**other[0], "example": ""}
    assert {**one[0], "example": ""} != {**plain[0], "example": ""}


def test_answers_go_to_a_file_of_the_kind_that_its_name_says(
    fdl, folder, digits, tmp_path
):
    np.savez(tmp_path / "a.npz", image=digits["image"][:3])
    for kind in ("csv", "jsonl"):
        path = tmp_path / f"answers.{kind}"
        called = fdl("predict", "good", tmp_path / "a.npz", "--output", path)
        assert called.code == 0
        assert called.out == f"asked at step 20: 3 examples, in {path}\n"
    rows = read((tmp_path / "answers.csv").read_text())
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()
    for row, line in zip(rows, map(json.loads, lines), strict=True):
        assert str(line["class"]) == row["class"]
        for k, value in enumerate(line["probability"]):
            assert value == float(row[f"probability_{k}"])


def test_tables_are_read_by_the_names_of_their_columns(fdl, folder, tmp_path):
    from sklearn.datasets import load_diabetes

    raw = load_diabetes(scaled=False)
    names, rows = raw.feature_names, raw.data[:20]
    path = tmp_path / "patients.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["who", *names[::-1]])
        writer.writerows([["x", *row[::-1]] for row in rows])
    found = [
        float(row["prediction"]) for row in read(fdl("predict", "table", path).out)
    ]
    np.savez(tmp_path / "a.npz", features=rows)
    same = [
        float(r["prediction"])
        for r in read(fdl("predict", "table", tmp_path / "a.npz").out)
    ]
    np.testing.assert_allclose(found, same, rtol=1e-6)
    # They are standardised as the training data was: near its mean, not far off.
    targets = package.data.load("diabetes", "train")["target"]
    assert np.abs(np.array(found) - targets.mean()).max() < 4 * targets.std()


def test_each_seed_answers_for_itself(fdl, folder, digits, tmp_path):
    np.savez(tmp_path / "a.npz", image=digits["image"][:3])
    first = fdl("predict", "seeds", tmp_path / "a.npz")
    assert first.error == "fdl: seeds has 2 seeds: this is seed 0, the first\n"
    zero = fdl("predict", "seeds", tmp_path / "a.npz", "--seed", "0")
    one = fdl("predict", "seeds", tmp_path / "a.npz", "--seed", "1")
    assert zero.error == one.error == ""
    assert first.out == zero.out != one.out
    assert "seeds has the seeds 0 to 1" in (
        fdl("predict", "seeds", tmp_path / "a.npz", "--seed", "2").error
    )


def test_a_run_predicts_without_its_data_and_its_experiment(
    fdl, folder, digits, tmp_path, monkeypatch
):
    np.savez(tmp_path / "a.npz", image=digits["image"][:3])
    (tmp_path / "empty").mkdir()
    expected = fdl("predict", "good", tmp_path / "a.npz").out
    shutil.copytree("good", tmp_path / "moved")
    run = tmp_path / "moved/run.json"
    run.write_text(run.read_text().replace("asked.py", "gone.py"))
    for variable in ("TFDS_DATA_DIR", "FDL_MANUAL_DIR", "FDL_STATE_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "empty"))
    found = fdl("predict", tmp_path / "moved", tmp_path / "a.npz")
    assert (found.code, found.out, found.error) == (0, expected, "")
    assert not [*(tmp_path / "empty").iterdir()]
    # Only what asks for the experiment needs it.
    for command in (["eval"], ["predict", "a.png", "--experiment", "none.py"]):
        assert "is gone" in fdl(command[0], tmp_path / "moved", *command[1:]).error


def test_the_checkpoint_that_is_asked_for_answers(fdl, folder, digits, tmp_path):
    np.savez(tmp_path / "a.npz", image=digits["image"][:3])
    steps = [
        fdl("predict", "good", tmp_path / "a.npz", "--checkpoint", step).out
        for step in ("20", "latest", "10")
    ]
    assert steps[0] == steps[1]
    called = fdl("predict", "good", tmp_path / "a.npz", "--checkpoint", "7")
    assert called.code == 2 and "has no checkpoint of step 7" in called.error


PREDICT_MISTAKES = {
    "no run": (["nowhere", "a.png"], "nowhere is no run directory, no export and no"),
    "no such ability": (
        ["silent", "a.png"],
        "silent cannot predict: it has no abilities (see fdl.types.Ability)",
    ),
    "no file": (["good", "none.png"], "none.png: expected a file"),
    "no image": (["good", "asked.py"], "asked.py: expected an undamaged image file"),
    "no table": (["good", "t.csv"], "takes [8, 8, 1] of each example, not a row"),
    "a missing column": (
        ["table", "t.csv"],
        "t.csv: row 1: expected a column 'age'. Did you mean 'ages'?",
    ),
    "two kinds": (["good", "a.npz", "a.png"], "expected images, or else one CSV or"),
    "no such array": (["good", "other.npz"], "an array in other.npz. Did you mean"),
    "another shape": (["good", "flat.npz"], "expected [8, 8, 1] in one or more"),
    "another range": (["good", "half.npz"], "expected whole numbers from 0 to 16"),
    "an image for a table": (
        ["table", "a.png"],
        "of each example, not an image: expected a CSV file",
    ),
    "nothing to invert": (
        ["table", "t.csv", "--invert"],
        "invert=True: expected images",
    ),
    "another format": (
        ["good", "a.png", "--output", "a.txt"],
        "--output=a.txt: expected a name with .csv or .jsonl",
    ),
    "no folder": (
        ["good", "a.png", "--output", "none/a.csv"],
        "--output=none/a.csv: there is no directory none",
    ),
}


@pytest.mark.parametrize("case", PREDICT_MISTAKES)
def test_every_mistake_of_predict_is_one_line(fdl, folder, case):
    (folder / "t.csv").write_text("ages,sex\n1,2\n")
    np.savez(folder / "other.npz", imag=np.zeros((1, 8, 8, 1)))
    np.savez(folder / "flat.npz", image=np.zeros((1, 64)))
    np.savez(folder / "half.npz", image=np.full((1, 8, 8, 1), 0.5))
    arguments, expected = PREDICT_MISTAKES[case]
    called = fdl("predict", *arguments)
    assert called.code == 2 and called.out == ""
    assert re.fullmatch(r"fdl: [^\n]+\n", called.error)
    assert expected in called.error


# Compare.


def test_two_runs_are_compared_example_by_example(fdl, folder, digits, tmp_path):
    path = tmp_path / "changes.csv"
    called = fdl("compare", "poor", "good", "--output", path)
    assert (called.code, called.error) == (0, "")
    evaluated = [fdl("eval", run).out for run in ("poor", "good")]
    for metric in ("accuracy", "loss"):
        a, b, difference, low, high, p = re.search(
            rf"{metric} +│ +(\S+) │ +(\S+) │ +(\S+) │ +(\S+) \.\. (\S+) │ +(\S+) │",
            called.out,
        ).groups()
        found = [re.search(rf"{metric} +│ +(\S+) │", text)[1] for text in evaluated]
        np.testing.assert_allclose(
            [float(a), float(b)], [*map(float, found)], rtol=1e-4
        )
        assert float(low) < float(difference) < float(high)
        assert float(p) < 0.01
    gained, lost = re.search(
        r"only B has right: (\d+).*; only A: (\d+|none)", called.out
    ).groups()
    rows = read(path.read_text())
    sides = [row["right"] for row in rows]
    assert sides.count("B") == int(gained) and len(rows) > sides.count("B") > 0
    assert sides.count("A") == int(lost)
    # What the file says is what the models say of these very images.
    indices = [int(row["example"]) for row in rows]
    np.savez(tmp_path / "a.npz", image=digits["image"][indices])
    for run, letter in (("poor", "A"), ("good", "B")):
        answers = read(fdl("predict", run, tmp_path / "a.npz").out)
        right = [int(r["class"]) for r in answers] == digits["label"][indices]
        assert right.tolist() == [side == letter for side in sides]


@pytest.mark.slow
def test_of_several_runs_each_is_compared_with_the_first(fdl, folder, tmp_path):
    path = tmp_path / "changes.csv"
    called = fdl("compare", "poor", "good", "poor", "--output", path)
    assert (called.code, called.error) == (0, "")
    pairs = re.findall(r"accuracy +│ +([BC]) │.* (\S+) │\n", called.out)
    # Holm's: twice the p-value of the one, and no less of the other.
    alone = re.search(r"accuracy .* (\S+) │\n", fdl("compare", "poor", "good").out)
    assert [letter for letter, _ in pairs] == ["B", "C"] and pairs[1][1] == "1"
    np.testing.assert_allclose(float(pairs[0][1]), 2 * float(alone[1]), rtol=0.05)
    assert {row["right"] for row in read(path.read_text())} == {"B", "AC"}


def test_seeds_are_compared_with_what_eval_says_of_them(fdl, folder, tmp_path):
    path = tmp_path / "seeds.csv"
    called = fdl("compare", "seeds", "seeds", "--output", path)
    assert (called.code, called.error) == (0, "")
    assert "validation over the same 2 seeds: paired t-test" in called.out
    (value,) = {
        row["accuracy_A"] == row["accuracy_B"] for row in read(path.read_text())
    }
    numbers = [float(row["accuracy_A"]) for row in read(path.read_text())]
    assert value and f"{np.mean(numbers):.5g} ±" in fdl("eval", "seeds").out


def test_a_run_is_no_better_than_itself(fdl, folder):
    called = fdl("compare", "good", "good")
    assert called.code == 0
    assert re.search(r"accuracy .* \+0 │ +\+0 \.\. \+0 │ +1 │", called.out)
    assert "only B has right: none; only A: none; McNemar's p 1\n" in called.out


def test_regression_has_no_sides_and_every_example(fdl, folder, tmp_path):
    path = tmp_path / "all.csv"
    called = fdl("compare", "table", "table", "--output", path)
    assert called.code == 0 and "has right" not in called.out
    rows = read(path.read_text())
    assert len(rows) == 142
    metrics = ("loss", "mae", "r2")
    assert [*rows[0]] == ["example", *(f"{m}_{x}" for m in metrics for x in "AB")]


COMPARE_MISTAKES = {
    "different data": (["good", "table"], "are tested on different data: there is"),
    "no run": (["good", "nowhere"], "nowhere is no run directory"),
    "no examples": (
        ["good", "silent"],
        "tiny has no test examples: expected its build",
    ),
}


@pytest.mark.parametrize("case", COMPARE_MISTAKES)
def test_every_mistake_of_compare_is_one_line(fdl, folder, case):
    arguments, expected = COMPARE_MISTAKES[case]
    called = fdl("compare", *arguments)
    assert called.code == 2
    assert re.fullmatch(r"fdl: [^\n]+\n", called.error)
    assert expected in called.error
