"""`fdl list`, `show`, `--help`: what they say, and how little they need."""

import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import pytest

import fdl as package
from fdl.runs.experiment import build, load
from fdl.runs.experiment_files import find

ROOT = pathlib.Path(package.__file__).parent


def test_show_says_what_training_would_do(fdl, experiment):
    hidden = "--config.model.hidden_sizes=(7,5)"
    called = fdl("show", experiment(), hidden, "--tflops", "0.001", "--memory")
    assert called.code == 0 and called.error == ""
    assert "tiny: Tell digits apart, in little time." in called.out
    assert "--config.model.hidden_sizes=(7, 5)" in called.out
    loaded = load(experiment(), ["model.hidden_sizes=(7,5)"])
    (built,) = build(loaded)
    state = jax.eval_shape(built.learner.init, jax.random.key(0))
    sizes = [leaf.size for leaf in jax.tree.leaves(state.params)]
    assert sum(sizes) == 64 * 7 + 7 + 7 * 5 + 5 + 5 * 10 + 10
    assert re.search(rf"total +│ +│ +│ +{sum(sizes)} │", called.out)
    for layer, shape, count in (
        ("dense_0/kernel", "64 x 7", 448),
        ("head", "10", 10),
    ):
        assert re.search(rf"{layer}\S* +│ {shape} +│ float32 │ +{count} │", called.out)
    # Forwards 2 for each weight and example; backwards the same for the weights, and
    # for the inputs of all layers but the first.
    forwards = 2 * 16 * (64 * 7 + 7 * 5 + 5 * 10)
    operations = 3 * forwards - 2 * 16 * 64 * 7
    assert re.search(rf"FLOPs/step +{operations:,} ", called.out)
    assert re.search(r"steps/epoch +90\n", called.out)
    assert re.search(r"steps +20\n", called.out)
    assert re.search(
        rf"training +{operations * 20 / 1e9 / 3600:.3g} hours at", called.out
    )
    # Adam keeps two moments of each parameter; a count, a step and two keys are small.
    state = 3 * 4 * sum(sizes) / 1e6
    assert re.search(
        rf"state +{state:.1f} MB, of which params {state / 3:.1f}", called.out
    )
    # A count is with the moments.
    moments = 8 * sum(sizes) + 4
    assert f"opt_state {moments:,} bytes, params {4 * sum(sizes):,} bytes" in called.out
    assert re.search(r"a step +0\.\d MB beside state and batch", called.out)
    called = fdl("show", experiment(), "--tflops=0")
    assert (called.code, called.error.strip()) == (
        2,
        "fdl: --tflops=0: expected a number above 0",
    )
    assert not list(pathlib.Path().glob("run*"))


def test_every_key_that_show_prints_can_be_set(fdl, experiment):
    path = experiment()
    keys = re.findall(r"^  (--config\..*)$", fdl("show", path).out, re.MULTILINE)
    assert len(keys) > 15
    before = load(path).config
    after = load(path, [k.removeprefix("--config.") for k in keys]).config
    assert after == before


def test_list_passes_by_what_is_no_file_or_hidden(fdl, experiment, tmp_path):
    experiment()
    (tmp_path / ".#tiny.py").symlink_to("user@host.1234:5678")  # As Emacs makes them.
    (tmp_path / "gone.py").symlink_to("nowhere.py")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "deep.py").write_text("def get_config(): " + "(" * 10**5)
    os.mkfifo(tmp_path / "pipe.py")
    called = fdl("list", tmp_path)
    assert (called.code, called.error.strip()) == (0, "")
    assert [line.split()[0] for line in called.out.splitlines()] == ["deep", "tiny"]
    called = fdl("train", "pipe")
    assert called.code == 2 and "there is no experiment 'pipe'" in called.error


def test_list_names_what_train_finds(fdl, experiment, tmp_path):
    folder = tmp_path / "experiments/deep"
    folder.mkdir(parents=True)
    for name, old, new in (
        ("plain", "Tell digits", "Tell digits"),
        ("silent", '"""Tell digits apart, in little time."""', ""),
        ("broken", "import optax", "import = optax"),
        ("strange", "little", "l\udcffttle"),
    ):
        text = pathlib.Path(experiment()).read_text().replace(old, new)
        path = folder / f"{name}.py"
        path.write_bytes(text.encode(errors="surrogateescape"))
    (folder / "helper.py").write_text("SIZE = 3\n")
    called = fdl("list", "experiments")
    assert called.code == 0
    lines = dict(line.split("  ", 1) for line in called.out.splitlines())
    assert {name.strip() for name in lines} == {
        f"deep/{name}" for name in ("plain", "silent", "broken", "strange")
    }
    assert "deep/plain    Tell digits apart, in little time.\n" in called.out
    assert "(no docstring)" in called.out and "(line 4: " in called.out
    for name in ("deep/plain", "plain", "experiments/deep/plain.py"):
        assert find(name) == folder / "plain.py"


def test_the_module_is_the_command(finished):
    command = [sys.executable, "-m", "fdl", "list", str(finished)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == "tiny  Tell digits apart, in little time.\n"
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["--help"], ["list", "."]])
def test_nothing_heavy_is_imported_unasked(finished, arguments):
    code = (
        "import json, sys; from fdl.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit as error: assert error.code == 0\n"
        "print(json.dumps([*sys.modules]))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=finished)
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = {"jax", "flax", "numpy", "optax", "rich", "tensorflow_datasets", "orbax"}
    assert not modules & heavy


def test_nothing_that_is_loaded_can_execute_code():
    """Experiment files are Python and are asked for by name; all else is data."""
    forbidden = re.compile(
        r"\b(pickle|cloudpickle|dill|marshal|shelve|joblib)\b|allow_pickle=True"
        r"|(?<![\w.])(eval|exec)\("
    )
    for path in ROOT.rglob("*.py"):
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            assert not forbidden.search(line), f"{path}:{number}: {line}"
