"""`fdl plot`, and the plots that `fdl train` leaves."""

import json
import pathlib
import re

import jax
import numpy as np
import pytest

from fdl import cli, plots
from fdl.errors import RunError
from fdl.runs import metric_plots

PROGRAMS = 310

TABULAR = pathlib.Path(__file__).parents[2] / "experiments/tabular"
EVALUATE = "evaluate=fdl.on_dataset(objective, fdl.data.scale(testing, image=1 / 16)),"
ABILITIES = """
        abilities={"predict": fdl.evaluation.classifier(model, IMAGES)},
        examples=fdl.types.Examples(testing, objective, fdl.data.preprocessor(IMAGES)),
"""
IMAGES = "IMAGES = fdl.data.preprocessing.images((8, 8, 1), white=16)\n\n\ndef build("
CLASSES = {"confusion_matrix", "reliability", "roc", "precision_recall", "mistakes"}
RUNS = {
    "one": ["asked.py", "--config.layers_every=5"],
    "seeds": ["asked.py:smoke", "--seeds", "2"],
    "silent": ["tiny.py:smoke"],
    "numbers": [f"{TABULAR}/diabetes_mlp.py:smoke"],
    "table": [f"{TABULAR}/breast_cancer_linear.py:smoke"],
}
EXPECTED = {
    "one": CLASSES | {"filters", "layers"},
    "seeds": CLASSES | {"filters"},
    "silent": set(),
    "numbers": {"predictions", "residuals", "filters"},
    "table": CLASSES | {"filters"},
}


@pytest.fixture(scope="module")
def trained(finished, tmp_path_factory):
    """A folder with small runs."""
    folder = tmp_path_factory.mktemp("drawn")
    text = (finished / "tiny.py").read_text()
    assert EVALUATE in text
    (folder / "tiny.py").write_text(text)
    text = text.replace(EVALUATE, EVALUATE + ABILITIES).replace("def build(", IMAGES)
    (folder / "asked.py").write_text(text)
    cache = pathlib.Path(jax.config.jax_compilation_cache_dir).parent
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("FDL_CACHE_DIR", str(cache))
        monkeypatch.setattr("fdl.runs.process.keep_freed_memory", lambda: False)
        monkeypatch.chdir(folder)
        train("one")
        monkeypatch.setattr("fdl.cli.train.draw_plots", lambda *_, **__: None)
        train("seeds")
    return folder


def train(name):
    assert cli.main(["train", *RUNS[name], "--workdir", name]) == 0


@pytest.fixture
def folder(trained, monkeypatch):
    monkeypatch.chdir(trained)
    return trained


def drawn(workdir):
    return {path.name: path.read_bytes() for path in workdir.glob("plots/*")}


@pytest.fixture
def titles(monkeypatch):
    """The titles of all figures that are saved, by name."""
    found = {}

    def note(figure, path):
        found[path.stem] = figure.get_suptitle()
        return path

    monkeypatch.setattr(plots, "save", note)
    return found


@pytest.mark.parametrize(
    "name",
    [
        "one",
        *(
            pytest.param(x, marks=pytest.mark.slow)
            for x in ("silent", "numbers", "seeds", "table")
        ),
    ],
)
def test_a_run_leaves_the_plots_that_its_data_allows(folder, name):
    from matplotlib.image import imread

    if name == "seeds":  # Drawing them takes longer than all else.
        assert cli.main(["plot", name]) == 0
    elif name != "one":
        train(name)
    assert {pathlib.Path(n).stem for n in drawn(folder / name)} == EXPECTED[name]
    for plot in (folder / name).rglob("*.png"):
        assert imread(plot).std() > 0.03


@pytest.mark.slow
def test_plots_drawn_anew_are_the_same(folder, fdl):
    before = {**drawn(folder / "one"), "": (folder / "one/curves.png").read_bytes()}
    called = fdl("plot", "one")
    assert (called.code, called.error) == (0, "")
    after = {**drawn(folder / "one"), "": (folder / "one/curves.png").read_bytes()}
    assert after == before
    said = {line.strip() for line in called.out.splitlines()}
    assert said == {"one/curves.png", *(f"one/plots/{n}" for n in before if n)}


def test_the_numbers_are_those_of_the_evaluation(folder, fdl, monkeypatch, titles):
    del titles  # So that nothing is written.
    found = {}
    draw = plots.confusion_matrix

    def note(*arguments, **options):
        figure = draw(*arguments, **options)
        found["said"] = figure.axes[0].get_title()
        found["size"] = sum(int(text.get_text()) for text in figure.axes[0].texts)
        return figure

    monkeypatch.setattr(plots, "confusion_matrix", note)
    assert fdl("plot", "one", "--checkpoint", "16").code == 0
    called = fdl("eval", "one", "--checkpoint", "16")
    accuracy = float(re.search(r"accuracy\W+([\d.]+)", called.out)[1])
    said = float(re.search(r"accuracy ([\d.]+)", found["said"])[1])
    assert said == pytest.approx(accuracy, abs=1e-4) and found["size"] == 360


def test_titles_say_what_and_which_seed_and_step(folder, fdl, titles):
    assert fdl("plot", "one", "--checkpoint", "16").code == 0
    assert titles["roc"] == "asked, step 16" and titles["layers"] == "asked"
    assert re.fullmatch(
        r"asked, step 16: the 24 most confident of \d+ mistakes in 360 examples",
        titles["mistakes"],
    )
    assert fdl("plot", "seeds", "--seed", "1").code == 0
    assert titles["roc"] == "asked, seed 1, step 2"
    assert titles["curves"] == "asked (2 seeds: their mean and its 95 % interval)"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["one", "--checkpoint", "3"], "no checkpoint of step 3"),
        (["seeds", "--seed", "2"], "seeds has the seeds 0 to 1"),
        (["missing"], "missing is no run directory"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(folder, fdl, arguments, message):
    called = fdl("plot", *arguments)
    assert message in called.error and called.error.count("\n") == 1
    assert called.code == 2


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("seeds", [[], ["--seeds", "2"]])
def test_a_plot_that_fails_leaves_the_run_finished(folder, fdl, monkeypatch, seeds):
    def broken(*arguments, **options):
        raise KeyError("no such\ncolour")

    monkeypatch.setattr(plots, "roc", broken)
    place = f"broken{len(seeds)}"
    called = fdl("train", "asked.py:smoke", "--workdir", place, *seeds)
    assert called.code == 0 and "validation at step 2" in called.out
    told = [line for line in called.error.splitlines() if "plot" in line]
    assert len(told) == 1
    assert told[0].startswith("fdl: no plot of the predictions: KeyError")
    assert {"confusion_matrix.png"} <= set(drawn(folder / place))
    assert fdl("plot", place).code == 1
    monkeypatch.undo()


def test_a_full_disk_is_told_once_and_leaves_the_run_finished(folder, fdl, monkeypatch):
    def full(figure, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(plots, "save", full)
    called = fdl("train", "asked.py:smoke", "--workdir", "full")
    assert called.code == 0
    expected = "fdl: no more plots: cannot write full/curves.png: No space left"
    assert called.error.splitlines() == [f"{expected} on device"]
    rows = (folder / "full/metrics.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["step"] == 2


def test_learners_are_drawn_in_the_order_of_the_evaluation(tmp_path):
    (tmp_path / "run.json").write_text('{"experiment": "a", "seeds": 2}')
    (tmp_path / "config.json").write_text("{}")

    def write(*names):
        row = {f"eval/{name}/error": [0.1, 0.2] for name in names}
        rows = [{"step": 1, "train/z/error": [1, 2], "train/a/error": [1, 2]}]
        text = "".join(json.dumps(x) + "\n" for x in [*rows, {"step": 2, **row}])
        (tmp_path / "metrics.jsonl").write_text(text)
        return metric_plots.order([json.loads(line) for line in text.splitlines()])

    assert write("z", "b", "a") == ["z", "b", "a"]
    assert write("a", "w_1", "w_16", "w_2", "z") == ["a", "w_1", "w_2", "w_16", "z"]
    path = metric_plots.draw_comparison(tmp_path)
    assert path == tmp_path / "plots/comparison.png" and path.stat().st_size > 3000


@pytest.mark.parametrize(
    "seeds, config, title",
    [
        (1, {}, "a"),
        (3, {}, "a (3 seeds: their mean and its 95 % interval)"),
        (1, {"num_folds": 5, "fold": -1}, "a (5 folds: their mean and its 95 % int"),
        (1, {"num_folds": 5, "fold": 2}, "a"),
    ],
)
def test_a_title_tells_seeds_from_folds(tmp_path, seeds, config, title):
    run = {"experiment": "a", "seeds": seeds}
    (tmp_path / "run.json").write_text(json.dumps(run))
    (tmp_path / "config.json").write_text(json.dumps(config))
    heading = metric_plots.heading(tmp_path)
    assert heading.startswith(title) and (len(title) > 1 or heading == title)


def test_a_run_without_a_comparison_has_no_plot_of_one(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "eval/loss": 1.0}\n')
    assert metric_plots.draw_comparison(tmp_path) is None
    assert metric_plots.draw_layers(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "plots").write_text("")
    figure = plots.confusion_matrix(np.array([0]), np.array([0]))
    with pytest.raises(RunError, match=r"cannot write .*plots/a.png"):
        metric_plots.save(figure, tmp_path, "a.png")
