"""`fdl replay`: the operation that went wrong is named, with its line."""

import json
import os
import pathlib
import re

import pytest

PROGRAMS = 380

EXPERIMENT = '''"""Several ways to go wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from ml_collections import ConfigDict

import fdl
from fdl.types import Mean


def get_config() -> ConfigDict:
    config = ConfigDict()
    config.num_steps = 20
    config.log_every = "4 steps"
    config.eval_every = "10 steps"
    config.save_every = "5 steps"
    config.steps_per_call = 3
    config.kind = ""
    config.mesh = {"data": 1}
    return config


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(2, name="head")(x)


def build(config):
    kind = config.kind
    data = {"x": np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)}
    data["label"] = np.where(np.arange(24) == 17, 2, 0)
    if kind == "data":
        data["x"][17, 1] = np.nan
    if kind == "one seed":
        first = next(fdl.data.batches(data, 4, 1).stream(0))
        data["x"][first["index"][0]] = np.inf
    model = fdl.models.functional(Net(), jnp.zeros((1, 3)))

    def objective(variables, batch, key=None, *, train=False):
        x = batch["x"]
        y, state = model.apply(variables, x, train=train)
        last = train and jnp.all(jax.random.key_data(key) == MARK)
        zero = jnp.where(last, 0.0, 1.0)
        if kind == "log":
            loss = jnp.log(jax.nn.relu(y * zero) + 1e-30 * zero).mean()  # log
        elif kind == "scan":
            def body(carry, row):
                return carry + row * zero / (row * zero), carry  # scan
            loss = jax.lax.scan(body, jnp.zeros(2), y)[1].mean()
        elif kind == "sqrt":
            loss = (jnp.sqrt(jnp.square(y) * zero) + y**2).mean()  # sqrt
        elif kind == "label":
            loss = fdl.losses.cross_entropy(y, batch["label"]).mean()
        elif kind == "overflow":
            loss = (y / zero * 1e38 * 1e38).mean() if train else y.mean()  # overflow
        else:
            loss = (y**2).mean()  # square
        return loss, (state, {"loss": Mean(loss * len(x), jnp.float32(len(x)))})

    rate = 1e30 if kind == "rate" else 1e-3
    return fdl.Experiment(
        fdl.gradient_learner(model, objective, optax.adam(rate)),
        fdl.data.batches(data, 4, config.seed),
        lambda state: {"loss": 1.0},
    )


root = jax.random.split(jax.random.key(0))[1]  # As the learner has it.
MARK = np.asarray(jax.random.key_data(jax.random.fold_in(root, 7)))
'''
STEP = 8  # The one with the key MARK.


@pytest.fixture
def wrong(tmp_path):
    """The path of the experiment, and the line with a mark."""
    (tmp_path / "wrong.py").write_text(EXPERIMENT)

    def line(mark):
        lines = EXPERIMENT.splitlines()
        return 1 + next(i for i, text in enumerate(lines) if text.endswith(f"# {mark}"))

    return line


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def train(fdl, kind, *more):
    return fdl("train", "wrong.py", "--workdir", "run", f"--config.kind={kind}", *more)


@pytest.mark.parametrize(
    "kind, metric, primitive, made, way, step",
    [
        slow("log", "loss", "log", "-inf", "forward", STEP),
        slow("scan", "loss", "div", "NaN", "forward", STEP),
        ("sqrt", "grad_norm", "div", "inf", "backward", STEP),
        ("overflow", "loss", "mul", "-?inf", "forward", 1),
    ],
)
def test_the_operation_its_line_and_its_direction_are_named(
    fdl, wrong, kind, metric, primitive, made, way, step
):
    called = train(fdl, kind)
    assert called.code == 1 and called.error.count("\n") == 1
    good = "checkpoint of step 5" if step == STEP else "no checkpoint yet"
    assert called.error == (
        f"fdl: metric '{metric}' became NaN or infinite at step {step}: fdl replay run "
        f"names the operation; last good: {good}, in run\n"
    )
    before = sorted(pathlib.Path("run").rglob("*"))
    again = fdl("replay", "run")
    assert again.code == 0, again.error
    assert f"step {step} again, from the state of step {step - 1}\n" in again.out
    line = wrong(kind)
    assert re.search(
        f"^{primitive} made {made} of finite numbers, {way}, at wrong.py:{line} ",
        again.out,
        re.MULTILINE,
    ), again.out
    assert f"> {line:5}  {EXPERIMENT.splitlines()[line - 1]}" in again.out
    assert sorted(pathlib.Path("run").rglob("*")) == before
    # Nothing of it is needed: the run can be gone through from its beginning.
    assert fdl("replay", "run", "--step", step).out == again.out


def test_the_example_that_is_not_finite_is_named(fdl, wrong):
    assert train(fdl, "data").code == 1
    called = fdl("replay", "run")
    assert called.code == 0
    assert called.out.endswith("x is not finite in example 17 of the data\n")
    told = json.loads(pathlib.Path("run/failure/failure.json").read_text())
    assert 17 in told["examples"]


def test_a_label_out_of_range_is_named(fdl, wrong):
    assert train(fdl, "label").code == 1
    called = fdl("replay", "run")
    assert called.code == 0
    assert (
        "a label is no class index, or out of its range; this batch has\n" in called.out
    )
    assert re.search(
        r"^  label +int32\[4\], from 0 to 2, first at \[\d\]$", called.out, 8
    )


def test_a_learning_rate_that_overflows_is_what_is_named(fdl, wrong):
    """Not the norms that fdl logs, which are the first to leave float32."""
    assert train(fdl, "rate").code == 1
    called = fdl("replay", "run")
    assert called.code == 0
    assert "a norm of gradients, updates or parameters left float32" in called.out
    assert "most often the learning rate is too large" in called.out
    assert "logging.py" not in called.out


def test_modules_are_named(fdl, wrong):
    """Not finite in the state: as a run has it that was given bad parameters."""
    text = EXPERIMENT.replace(
        'return nn.Dense(2, name="head")(x)',
        ('return nn.Dense(2, name="head")(jnp.log(0 * x))'),
    )
    pathlib.Path("wrong.py").write_text(text)
    assert train(fdl, "").code == 1
    called = fdl("replay", "run")
    assert re.search(r"log made -?(inf|NaN).*forward.*\(Net.__call__\)", called.out)
    assert re.search(r"  module +Net$", called.out, re.MULTILINE)


def test_of_several_seeds_the_one_that_went_wrong_is_replayed(fdl, wrong):
    called = train(fdl, "one seed", "--seeds", 3)
    assert called.code == 1 and "at step 1: fdl replay run" in called.error
    told = json.loads(pathlib.Path("run/failure/failure.json").read_text())
    called = fdl("replay", "run")
    assert called.code == 0 and told["members"][0] != 0
    if told["members"] == [1]:
        assert "\nseed 1 went wrong\n" in called.out
    else:
        assert "; this is seed" in called.out
    assert re.search(r"x is not finite in example \d+ of the data", called.out)


@pytest.mark.slow
def test_several_devices_are_replayed_on_one(fdl, wrong):
    assert train(fdl, "scan", "--config.mesh.data=2").code == 1
    called = fdl("replay", "run")
    assert called.code == 0 and f"wrong.py:{wrong('scan')} " in called.out


def test_a_step_that_is_whole_is_said_to_be_and_equals_what_was_logged(fdl, wrong):
    assert train(fdl, "", "--config.log_every=1").code == 0
    for step in (1, 7):
        called = fdl("replay", "run", "--step", step)
        assert called.code == 0, called.error
        assert called.out.endswith(f"step {step}: all is finite\n")
        assert called.out.count("the same") == 3
    rows = pathlib.Path("run/metrics.jsonl").read_text()
    pathlib.Path("run/metrics.jsonl").write_text(
        re.sub(r'("step": 7, .*"train/loss": )[^,}]+', r"\g<1>2.5", rows)
    )
    called = fdl("replay", "run", "--step", 7)
    assert called.out.count("the same") == 2 and "│ 2.5" in called.out


def test_a_whole_run_is_asked_for_one_of_its_steps(fdl, wrong):
    assert train(fdl, "").code == 0
    # What was logged together with other steps is not compared.
    called = fdl("replay", "run", "--step", 8)
    assert called.code == 0 and "logged" not in called.out
    for arguments, told in (
        ([], "run has no failure snapshot: no step of it is known to have gone wrong"),
        (["--step", 0], "--step=0: run has the steps 1 to 20"),
        (["--step", 21], "--step=21: run has the steps 1 to 20"),
    ):
        called = fdl("replay", "run", *arguments)
        assert called.code == 2 and called.error.count("\n") == 1
        assert told in called.error


def test_behind_the_step_that_went_wrong_there_is_nothing(fdl, wrong):
    assert train(fdl, "log").code == 1
    called = fdl("replay", "run", "--step", 12)
    assert called.code == 2
    assert called.error == (
        "fdl: --step=12: metric 'loss' became NaN or infinite at step 8; say --step 8\n"
    )
    called = fdl("replay", "nowhere")
    assert called.code == 2 and "nowhere is no run directory" in called.error
    pathlib.Path("run/failure/failure.json").write_text("{}")
    called = fdl("replay", "run")
    assert called.code == 2 and "run/failure is damaged" in called.error


def test_a_snapshot_that_cannot_be_saved_does_not_hide_what_went_wrong(
    fdl, wrong, monkeypatch
):
    from fdl.runs import failure

    def full(*_):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(failure, "save_snapshot", full)
        called = train(fdl, "log")
    assert called.code == 1 and called.error == (
        "fdl: metric 'loss' became NaN or infinite at step 8: no failure snapshot, No "
        "space left on device: fdl replay run --step 8; last good: checkpoint of step "
        "5, in run\n"
    )
    called = fdl("replay", "run", "--step", 8)
    assert called.code == 0 and f"at wrong.py:{wrong('log')} " in called.out
    assert "parameters had grown" not in called.out


@pytest.mark.slow
def test_what_needs_no_data_is_replayed(fdl, wrong):
    text = EXPERIMENT.replace(
        'x = batch["x"]\n', "x = jax.random.normal(jax.random.key(0), (4, 3))\n"
    ).replace("fdl.data.batches(data, 4, config.seed)", "fdl.data.no_data()")
    pathlib.Path("wrong.py").write_text(text)
    assert train(fdl, "log").code == 1
    told = json.loads(pathlib.Path("run/failure/failure.json").read_text())
    assert told["examples"] is None and "key" in told["keys"]
    called = fdl("replay", "run")
    assert called.code == 0 and f"at wrong.py:{wrong('log')} " in called.out


@pytest.mark.slow
def test_what_makes_its_own_experience_is_replayed(fdl, tmp_path):
    path = pathlib.Path(__file__).parents[2] / "experiments/rl/cartpole_ppo.py"
    text = path.read_text()
    (tmp_path / "ppo.py").write_text(text)
    where = ["ppo.py:smoke", "--workdir", "run"]
    called = fdl("train", *where, "--config.optimizer.learning_rate=1e30")
    assert called.code == 1, called
    told = json.loads(pathlib.Path("run/failure/failure.json").read_text())
    assert told["examples"] is None and "key" in told["keys"]
    called = fdl("replay", "run")
    assert called.code == 0
    assert called.out.endswith("most often the learning rate is too large\n")
