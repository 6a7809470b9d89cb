"""`fdl export`, as it is called: an export answers as the run that it is of."""

import csv
import io
import json
import pathlib
import shutil

import chex
import jax
import numpy as np
import pytest

import fdl as package
from fdl import cli, models
from fdl.runs.open_run import open_run

TABLE = pathlib.Path(__file__).parents[2] / "experiments/tabular/table_mlp.py"
OWN = """
import flax.linen as nn
from ml_collections import ConfigDict

import fdl


class Own(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(10)(x.reshape(len(x), -1))


def get_config():
    optimizer = {"name": "sgd", "learning_rate": 0.1}
    return ConfigDict({"num_steps": 2, "batch_size": 16, "optimizer": optimizer})


def build(config):
    pictures = fdl.data.preprocessing.images((8, 8, 1), white=16)
    return fdl.supervised(config, fdl.data.load_splits("digits"), pictures, Own())
"""


@pytest.fixture(scope="module")
def trained(data_dir, tmp_path_factory):
    """A folder with two small runs, one of them with a network outside the zoo."""
    del data_dir
    folder = tmp_path_factory.mktemp("trained")
    write_people(folder / "people.csv", 60)
    write_people(folder / "others.csv", 7)
    (folder / "own.py").write_text(OWN)
    cache = pathlib.Path(jax.config.jax_compilation_cache_dir).parent
    table = [f"{TABLE}:smoke", "--config.data.csv=people.csv"]
    table += ["--config.data.target=job", "--seeds", "2"]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("FDL_CACHE_DIR", str(cache))
        monkeypatch.setattr("fdl.runs.process.keep_freed_memory", lambda: False)
        monkeypatch.chdir(folder)
        monkeypatch.setattr("fdl.cli.train.draw_plots", lambda *_, **__: None)
        assert cli.main(["train", *table, "--workdir", "table"]) == 0
        assert cli.main(["train", "own.py", "--workdir", "own"]) == 0
    digits = package.data.load("digits", "test")["image"][:5]
    np.savez(folder / "digits.npz", image=digits)
    return folder


@pytest.fixture
def folder(trained, monkeypatch):
    """The folder of the runs, to work in."""
    monkeypatch.chdir(trained)
    return trained


def write_people(path, count):
    """Writes a table of numbers and categories, with gaps."""
    random = np.random.default_rng(0)
    lines = ["age,town,job"]
    for i in range(count):
        age = "" if i == 3 else f"{random.uniform(20, 60):.1f}"
        lines.append(f"{age},{('Ulm', 'Bonn')[i % 2]},{('baker', 'clerk')[i % 2]}")
    path.write_text("\n".join(lines) + "\n")


def read(text):
    return [*csv.DictReader(io.StringIO(text))]


def test_an_export_answers_as_the_run_on_another_machine(
    fdl, folder, tmp_path, monkeypatch
):
    asked = shutil.copy("others.csv", tmp_path)
    expected = fdl("predict", "table", asked, "--seed", 1).out
    assert {*read(expected)[0]} == {
        *("example", "class", "probability_baker", "probability_clerk")
    }
    called = fdl("export", "table", tmp_path / "out", "--seed", 1)
    assert called.code == 0 and "fdl predict" in called.out
    # Neither the run nor the data nor the experiment is there.
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for variable in ("TFDS_DATA_DIR", "FDL_STATE_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "empty"))
    monkeypatch.setattr("fdl.runs.trained_model.load_file", pytest.fail)
    found = fdl("predict", tmp_path / "out", asked)
    assert (found.code, found.out, found.error) == (0, expected, "")


def test_three_lines_of_python_answer_as_the_command(fdl, folder, tmp_path):
    fdl("export", "table", tmp_path / "out", "--seed", 0)
    model = package.load_model(tmp_path / "out")
    inputs, _ = package.data.read_inputs(
        model.abilities["predict"].inputs, ["others.csv"]
    )
    outputs = package.evaluation.predict(
        model.abilities["predict"], model.variables, inputs
    )
    rows = read(fdl("predict", "table", "others.csv", "--seed", 0).out)
    np.testing.assert_allclose(
        outputs["probability"][:, 0],
        [float(row["probability_baker"]) for row in rows],
        rtol=1e-6,
    )
    run = package.load_run("table", seed=0)
    chex.assert_trees_all_equal(run.variables, model.variables)
    assert model.model.module == run.model.module


def test_the_description_is_for_people_too(fdl, folder, tmp_path):
    fdl("export", "table", tmp_path / "out", "--seed", 1)
    content = json.loads((tmp_path / "out/model.json").read_text())
    assert content["network"]["module"] == "fdl.models.MLP"
    assert content["abilities"]["predict"]["classes"] == ["baker", "clerk"]
    assert content["experiment"]["overrides"][-1] == "seed=1"


def test_an_artefact_runs_by_the_lines_that_are_printed(fdl, folder, tmp_path):
    called = fdl("export", "own", tmp_path / "out", "--stablehlo")
    _, _, lines = called.out.partition("encoded examples:\n")
    scope: dict = {}
    exec("\n".join(line.strip() for line in lines.splitlines()), scope)
    outputs = scope["predict"]({"image": np.load("digits.npz")["image"]})
    rows = read(fdl("predict", "own", "digits.npz").out)
    np.testing.assert_allclose(
        outputs["probability"][:, 3],
        [float(row["probability_3"]) for row in rows],
        rtol=1e-4,
    )


def test_a_network_outside_the_zoo_needs_the_file_of_its_experiment(
    fdl, folder, tmp_path
):
    called = fdl("export", "own", tmp_path / "out")
    assert called.code == 2 and not (tmp_path / "out").exists()
    assert "Own cannot be described as data" in called.error
    for way in ("--experiment FILE", "--stablehlo"):
        assert way in called.error
    called = fdl("export", "own", tmp_path / "out", "--experiment", "own.py")
    assert called.code == 0 and "INPUT --experiment FILE" in called.out
    asked = ["predict", tmp_path / "out", "digits.npz"]
    assert "--experiment FILE" in fdl(*asked).error
    found = fdl(*asked, "--experiment", "own.py")
    assert (found.code, found.out) == (0, fdl("predict", "own", "digits.npz").out)


MISTAKES = {
    "no run": (["nowhere", "out"], "nowhere is no run directory"),
    "a full folder": (["own", "full"], "full: expected a new or an empty folder"),
    "a file": (["own", "own.py"], "own.py: expected a new or an empty folder"),
    "a link": (["own", "link"], "link: expected a new or an empty folder"),
    "no such seed": (["table", "out", "--seed", "7"], "table has the seeds 0 to 1"),
    "no such checkpoint": (
        ["own", "out", "--checkpoint", "7", "--experiment", "own.py"],
        "has no checkpoint of step 7",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_every_mistake_is_one_line(fdl, folder, case):
    (folder / "full").mkdir(exist_ok=True)
    (folder / "full/file").touch()
    if not (folder / "link").is_symlink():
        (folder / "link").symlink_to(folder / "nowhere")
    arguments, expected = MISTAKES[case]
    called = fdl("export", *arguments)
    assert (called.code, called.out) == (2, "")
    assert called.error.count("\n") == 1
    assert expected in called.error
    assert not (folder / "out").exists()


@pytest.mark.slow
def test_adapters_give_the_run_again_on_its_base(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("fdl.runs.process.keep_freed_memory", lambda: False)
    run, adapters = tmp_path / "run", tmp_path / "adapters"
    assert cli.main(["train", "text/finetune:smoke", "--workdir", str(run)]) == 0
    assert cli.main(["export", str(run), str(adapters), "--adapters"]) == 0
    assert "adapters of step 6" in capsys.readouterr().out
    trained = package.load_run(run)
    opened = open_run(run, pytest.fail)
    learner = opened.setup.learner
    start = jax.jit(learner.init)(jax.random.key(0))
    base = jax.jit(learner.variables)(start)  # Adapters are zero at first.
    _, variables = models.load_adapters(adapters, trained.model, base)
    merged = models.merge_lora(variables)
    chex.assert_trees_all_close(merged, trained.variables, atol=1e-6)
    moved = jax.tree.map(lambda x, y: float(abs(x - y).max()), merged, base)
    assert max(jax.tree.leaves(moved)) > 1e-4
    again = ["export", str(run), str(adapters), "--adapters"]
    assert cli.main(again) == 2
    assert "expected a new or an empty folder" in capsys.readouterr().err
