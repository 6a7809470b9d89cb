"""`fdl train`, `resume` and `eval`: what they leave, and what they say."""

import errno
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import sys

import chex
import jax
import numpy as np
import pytest
from scipy import stats

from fdl import load_run
from fdl.runs import directory, run_setup
from fdl.runs.checkpoint import Checkpoints
from fdl.runs.experiment import build, load
from fdl.runs.open_run import restore

PROGRAMS = 280


def files(workdir):
    """Digests of what makes a run; TensorBoard's events have clock readings."""
    return {
        str(path.relative_to(workdir)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(workdir.rglob("*"))
        if path.is_file() and path.parent.name != "tensorboard"
    }


def rows(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def parameters(workdir, place, *overrides, seeds=1):
    """The parameters of the latest checkpoint, as bytes."""
    loaded = load(str(place), overrides)
    setup = run_setup.setup(build(loaded, seeds), loaded.config)
    _, carry = restore(workdir, setup, loaded.config, "latest")
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(carry.state.params)]


def test_a_run_leaves_a_folder_worth_looking_at(done, experiment):
    from matplotlib.image import imread

    names = set(files(done))
    assert names >= {"config.json", "run.json", "metrics.jsonl", "timings.jsonl"}
    assert imread(done / "curves.png").std() > 0.05
    assert not [name for name in names if name.endswith(".part")]
    config = json.loads((done / "config.json").read_text())
    assert config["learning_rate"] == 0.01 and config["model"]["hidden_sizes"] == [16]
    run = json.loads((done / "run.json").read_text())
    path = pathlib.Path(experiment())
    assert run["source"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert run["experiment"] == "tiny" and run["path"] == str(path)
    assert run["versions"]["jax"] == jax.__version__
    assert run["versions"]["python"] == platform.python_version()
    assert re.fullmatch("[0-9a-f]{64}", run["data"])
    stages = json.loads((done / "timings.jsonl").read_text().splitlines()[0])["stages"]
    assert set(stages) == {"imports", "data and build", "compile"}
    # Imports count from the start of the process, which here is that of all tests.
    assert min(stages.values()) >= 0 and stages["compile"] < 300


def test_lines_stand_where_the_config_says(done):
    found = [
        (row["step"], *{key.split("/")[0] for key in row if "/" in key})
        for row in rows(done)
    ]
    logged = [(step, "train") for step in (6, 12, 18, 20)]
    assert sorted(found) == sorted([*logged, (10, "eval"), (20, "eval")])
    assert [row["epoch"] for row in rows(done)] == [step / 90 for step, _ in found]


@pytest.mark.slow
def test_two_runs_have_the_same_metrics_to_the_last_byte(done, fdl, experiment):
    for overrides in (["--config.seed=0"], ["--config.seed=1"]):
        other = done.with_name("other" + overrides[0])
        assert fdl("train", experiment(), "--workdir", other, *overrides).code == 0
        same = [(place / "metrics.jsonl").read_bytes() for place in (done, other)]
        assert (same[0] == same[1]) == overrides[0].endswith("0")


@pytest.mark.parametrize("again", ["train", "resume"])
def test_a_finished_run_is_left_as_it_is(done, fdl, experiment, again):
    before = files(done)
    where = [experiment(), "--workdir", done] if again == "train" else [done]
    called = fdl(again, *where)
    assert called.code == 0 and "nothing is left to do" in called.out
    assert files(done) == before


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--config.learning_rate=0.02"], ["learning_rate is 0.02, there 0.01"]),
        (
            ["--config.num_steps=30", "--config.optimizer.b1=0.8"],
            ["num_steps is 30, there 20", "optimizer.b1 is 0.8, there 0.9"],
        ),
        (["--seeds=2"], ["seeds is 2, there 1"]),
    ],
)
def test_a_folder_with_another_run_is_refused(done, fdl, experiment, arguments, named):
    before = files(done)
    called = fdl("train", experiment(), "--workdir", done, *arguments)
    assert called.code == 2 and "another run" in called.error
    assert all(text in called.error for text in named)
    assert called.error.count(", there ") == len(named)
    assert files(done) == before


def test_a_folder_of_another_experiment_is_refused(done, fdl, experiment):
    path = experiment(("Tell digits", "Tell them"), name="other")
    called = fdl("train", path, "--workdir", done)
    assert called.code == 2
    assert "experiment is 'other', there 'tiny'" in called.error


def test_a_folder_of_other_data_is_refused(done, fdl, experiment):
    train = 'fdl.data.load("digits", split) for split in ("train", "test")'
    changed = experiment((train, train.replace('"train",', '"test",')))
    named = ["--experiment", changed]
    for command in (
        ["train", changed, "--workdir"],
        ["resume", *named],
        ["eval", *named],
    ):
        called = fdl(*command, done)
        assert called.code == 2 and "training data is not that" in called.error


def test_the_same_config_in_other_words_is_the_same_run(done, fdl, experiment):
    words = ["--config.learning_rate=0.010", "--config.num_steps=20"]
    called = fdl("train", experiment(), "--workdir", done, *words)
    assert called.code == 0 and "nothing is left to do" in called.out


def test_a_changed_file_is_told(done, fdl, experiment):
    path = experiment(("in little time", "in no time"))
    unasked = fdl("eval", done)
    assert unasked.code == 2 and unasked.error.count("\n") == 1
    assert "has changed since you trained it" in unasked.error
    assert f"--experiment {path}" in unasked.error
    # Once it was started, it need not be named again.
    for command in (["resume", "--experiment", path], ["eval"]):
        called = fdl(*command, done)
        assert called.code == 0
        assert f"tiny.py has changed since the run in {done} began" in called.error


def test_a_second_process_is_refused(fdl, experiment, tmp_path):
    with directory.locked(tmp_path / "run"):
        called = fdl("train", experiment(), "--workdir", tmp_path / "run")
    assert called.code == 2
    assert called.error == f"fdl: another run is at work in {tmp_path / 'run'}\n"


@pytest.mark.parametrize("which", ["best", "latest", "16"])
def test_eval_says_what_the_run_said(done, fdl, experiment, which):
    called = fdl("eval", done, "--checkpoint", which)
    assert called.code == 0
    checkpoints = Checkpoints(done / "checkpoints", best="max accuracy")
    step = {"best": checkpoints.best(), "latest": 20, "16": 16}[which]
    assert f"validation at step {step}\n" in called.out
    loaded = load(experiment())
    setup = run_setup.setup(build(loaded), loaded.config)
    found, carry = restore(done, setup, loaded.config, which)
    assert found == step
    values = setup.evaluate(setup.learner.variables(carry.state))
    for name, value in values.items():
        assert re.search(rf"│ {name} +│ +{value:.5g} │", called.out)
    if step == 20:
        line = {k: v for k, v in rows(done)[-1].items() if "eval/" in k}
        assert line == {f"eval/{name}": value for name, value in values.items()}


def test_eval_of_an_average_is_of_the_mean_of_the_parameters(done, fdl, experiment):
    called = fdl("eval", done, "--average", "2")
    assert (
        called.code == 0 and "validation of the average of steps 16, 20" in called.out
    )
    checkpoints = Checkpoints(done / "checkpoints", best="max accuracy")
    both = [checkpoints.read_variables(step) for step in (16, 20)]
    (built,) = build(load(experiment()))
    for name, value in built.evaluate(
        jax.tree.map(lambda a, b: (a + b) / 2, *both)
    ).items():
        assert re.search(rf"│ {name} +│ +{value:.4g}\d* │", called.out)


def test_a_run_without_its_model_in_checkpoints_is_the_same_model(done, fdl):
    run = done.parent / "without"
    options = ["--config.save_model=false", "--workdir", run]
    assert fdl("train", done.parent / "tiny.py", *options).code == 0
    assert not [*run.glob("checkpoints/*/variables.safetensors")]
    for average in (None, 2):
        expected = load_run(done, average=average).variables
        chex.assert_trees_all_equal(load_run(run, average=average).variables, expected)


@pytest.mark.parametrize(
    "which, named",
    [
        ("7", "no checkpoint of step 7. There is: 16, 20."),
        ("bset", "expected best, lat"),
    ],
)
def test_eval_of_what_is_not_there_names_what_is(done, fdl, which, named):
    called = fdl("eval", done, "--checkpoint", which)
    assert called.code == 2 and named in called.error


def damage(workdir, step, name="metrics.json"):
    path = workdir / "checkpoints" / f"{step:08d}" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "metrics.json",
        pytest.param("checksums.json", marks=pytest.mark.slow),
        pytest.param("state/manifest.ocdbt", marks=pytest.mark.slow),
    ],
)
def test_the_checkpoint_before_a_damaged_one_is_gone_on_from(
    done, fdl, experiment, name
):
    before = parameters(done, experiment()), (done / "metrics.jsonl").read_bytes()
    damage(done, 20, name)
    called = fdl("train", experiment(), "--workdir", done)
    assert called.code == 0
    assert called.error.count("\n") == 1
    assert f"00000020 is damaged: {name}:" in called.error
    assert "going on at step 16 of tiny" in called.out
    after = parameters(done, experiment()), (done / "metrics.jsonl").read_bytes()
    assert after == before


@pytest.mark.parametrize("command", ["train", "resume"])
def test_no_checkpoint_but_damaged_ones_is_a_failed_run(done, fdl, experiment, command):
    for step in (16, 20):
        damage(done, step)
    before = files(done)
    where = [experiment(), "--workdir", done] if command == "train" else [done]
    called = fdl(command, *where)
    assert called.code == 1 and called.error.count("\n") == 1
    assert "every checkpoint is damaged" in called.error
    assert files(done) == before


@pytest.mark.parametrize(
    "which",
    ["best", *(pytest.param(x, marks=pytest.mark.slow) for x in ("latest", "16"))],
)
def test_eval_of_a_damaged_checkpoint_fails(done, fdl, which):
    for step in (16, 20):
        damage(done, step)
    called = fdl("eval", done, "--checkpoint", which)
    assert called.code == 1 and called.error.count("\n") == 1
    assert "is damaged: metrics.json" in called.error


def test_damaged_metrics_are_told_before_the_run_goes_on(done, fdl, experiment):
    damage(done, 20)  # So that there is something left to do.
    path = done / "metrics.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"train/loss"', b'"train/loss', 1))
    called = fdl("train", experiment(), "--workdir", done)
    assert called.code == 1 and f"{path} is damaged: line 1" in called.error


@pytest.mark.parametrize("name", ["run.json", "config.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b'{"seeds": "\xff"}', b"[1]"])
def test_a_damaged_description_is_told(done, fdl, name, content):
    (done / name).write_bytes(content)
    for command in ("resume", "eval"):
        called = fdl(command, done)
        assert called.code == 2 and called.error.count("\n") == 1
        assert name in called.error


def test_seeds_are_single_runs_and_their_interval_is_student_s(fdl, experiment):
    called = fdl("train", experiment(), "--workdir", "all", "--seeds", 3)
    assert called.code == 0
    together = rows(pathlib.Path("all"))
    for seed in (2,):
        override = f"--config.seed={seed}"
        assert fdl("train", experiment(), "--workdir", f"s{seed}", override).code == 0
        for row, alone in zip(together, rows(pathlib.Path(f"s{seed}")), strict=True):
            mine = {k: v[seed] if isinstance(v, list) else v for k, v in row.items()}
            assert mine == pytest.approx(alone, rel=1e-5)
    for name in ("accuracy", "loss"):
        values = together[-1][f"eval/{name}"]
        mean, error = np.mean(values), stats.sem(values)
        low, high = stats.t.interval(0.95, 2, mean, error)
        shown = [f"{mean:.5g} ± {error:.2g}", f"{low:.4g} .. {high:.4g}"]
        assert all(text in called.out for text in shown)
    again = fdl("eval", "all")
    assert again.code == 0 and shown[0] in again.out


def test_an_argument_after_the_file_is_that_of_get_config(fdl, experiment):
    called = fdl("train", experiment() + ":smoke", "--workdir", "small")
    assert called.code == 0
    assert [row["step"] for row in rows(pathlib.Path("small"))] == [2, 2]
    assert fdl("eval", "small").code == 0


def test_each_config_has_a_folder_by_default(fdl, experiment):
    for override in ("0", "0", "1"):
        path = experiment() + ":smoke"
        assert fdl("train", path, f"--config.seed={override}").code == 0
    assert len(list(pathlib.Path("runs").glob("tiny-*"))) == 2


def test_an_experiment_may_lie_anywhere_and_be_named_by_a_relative_path(
    fdl, experiment, tmp_path, monkeypatch
):
    folder = tmp_path / "elsewhere/mine"
    folder.mkdir(parents=True)
    shutil.move(experiment(), folder / "tiny.py")
    (folder / "beside.py").write_text("SIZE = 24\n")
    text = (folder / "tiny.py").read_text()
    text = text.replace("import fdl\n", "import fdl\nimport beside\n")
    (folder / "tiny.py").write_text(text.replace("(16,)", "(beside.SIZE,)"))
    path = list(sys.path)
    called = fdl("train", "elsewhere/mine/tiny.py", "--workdir", "run")
    assert called.code == 0, called
    assert sys.path == path
    monkeypatch.chdir("/")
    assert fdl("eval", tmp_path / "run").code == 0  # The path is kept in full.
    moved = folder.rename(tmp_path / "moved")
    gone = fdl("eval", tmp_path / "run")
    assert gone.code == 2 and "is gone: say where it is with --exp" in gone.error
    found = fdl("eval", tmp_path / "run", "--experiment", moved / "tiny.py")
    assert found.code == 0


def test_code_inside_of_a_run_folder_is_not_run_unasked(done, fdl):
    run = json.loads((done / "run.json").read_text())
    (done / "tiny.py").write_text("raise SystemExit('it was run')\n")
    run["path"] = str(done / "tiny.py")
    (done / "run.json").write_text(json.dumps(run))
    for command in ("resume", "eval"):
        called = fdl(command, done)
        assert called.code == 2 and "was not trained by you" in called.error


def test_a_file_of_the_system_that_is_full_fails_the_run(fdl, experiment, monkeypatch):
    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("fdl.files.sync", full)
    called = fdl("train", experiment(), "--workdir", "run")
    assert called.code == 1
    assert (
        called.error == "fdl: cannot write run/config.json: No space left on device\n"
    )


def test_what_build_imports_may_lie_beside_the_file(fdl, experiment, tmp_path):
    (tmp_path / "later.py").write_text("SIZE = 24\n")
    place = experiment(
        ("    module = fdl", "    import later\n\n    module = fdl"),
        ('"hidden_sizes": (16,)', '"hidden_sizes": (24,)'),
    )
    path = list(sys.path)
    assert fdl("show", place).code == 0
    assert sys.path == path


@pytest.mark.parametrize(
    "name",
    [
        "[old] :warning:",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("back\\", "12:30", "a*b", "a?")
        ),
    ],
)
def test_a_folder_may_have_any_name(fdl, experiment, tmp_path, monkeypatch, name):
    folder = tmp_path / name
    folder.mkdir()
    shutil.move(experiment(), folder / "tiny.py")
    monkeypatch.chdir(folder)
    called = fdl("train", "tiny.py:smoke", "--workdir", "run [1]")
    assert called.code == 0 and called.error == "", called
    assert "training tiny, 2 steps, in run [1]\n" in called.out
    assert "fdl eval 'run [1]' --checkpoint best\n" in called.out
    assert fdl("eval", folder / "run [1]").code == 0
    assert "nothing is left to do" in fdl("resume", "run [1]").out


ODD = """
    measure = fdl.on_dataset(objective, fdl.data.scale(testing, image=1 / 16))

    def evaluate(variables):
        found = measure(variables)
        kernel = variables["params"]["head"]["kernel"]
        odd = jnp.where(kernel[0, 0] > 0, jnp.sum(kernel), jnp.nan)
        return {**found, "odd": odd, "size": jnp.float32(3)}

    return fdl.Experiment("""


@pytest.mark.slow
def test_a_metric_may_be_an_array_and_no_number_for_some_seeds(fdl, experiment):
    place = experiment(
        ("\n    return fdl.Experiment(", ODD),
        (
            "fdl.on_dataset(objective, fdl.data.scale(testing, image=1 / 16)),",
            "evaluate,",
        ),
        ('"max accuracy"', '"max size"'),
    )
    called = fdl("train", place, "--workdir", "run", "--seeds", 4)
    assert called.code == 0, called
    last = rows(pathlib.Path("run"))[-1]
    assert None in last["eval/odd"] and any(last["eval/odd"])
    assert re.search(r"odd .* nan ± nan", called.out)
    assert re.search(r"size .* 3 ± 0", called.out)
    assert fdl("eval", "run", "--checkpoint", "best").code == 0


def test_a_config_may_have_what_is_no_number(fdl, experiment):
    place = experiment(
        (
            "config.batch_size = 16",
            'config.x = float("nan")\n    config.batch_size = 16',
        )
    )
    for _ in range(2):
        assert fdl("train", f"{place}:smoke", "--workdir", "run").code == 0


@pytest.mark.slow
def test_seeds_may_be_large(fdl, experiment):
    arguments = f"{experiment()}:smoke", f"--config.seed={2**40}"
    assert fdl("train", *arguments, "--workdir", "all", "--seeds", 2).code == 0
    assert fdl("train", *arguments, "--workdir", "one").code == 0
    both, alone = (rows(pathlib.Path(name))[-1]["eval/loss"] for name in ("all", "one"))
    np.testing.assert_allclose(both[0], alone, rtol=1e-5)
