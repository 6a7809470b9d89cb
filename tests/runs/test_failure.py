"""Failure snapshots: what they hold, and that it is what the run had."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

import fdl
from fdl.config import complete
from fdl.errors import NonFiniteError, RunError
from fdl.runs import failure, run_setup, session
from fdl.runs.checkpoint import Checkpoints
from fdl.train.loop_state import check_finite
from fdl.types import Mean, Model

NUM_STEPS = 17
X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


def make(seed=0, rows=(), bad=np.nan):
    """Least squares with noise, so that keys matter; some rows of the data are bad."""
    data = {"x": X.copy(), "y": X.sum(axis=1)}
    data["x"][[*rows]] = bad

    def objective(variables, batch, key=None, *, train=False):
        x = batch["x"] + (
            0.1 * jax.random.normal(key, batch["x"].shape) if train else 0
        )
        errors = (x @ variables["params"]["w"] - batch["y"]) ** 2
        return errors.mean(), ({}, {"loss": Mean(errors.sum(), jnp.float32(len(x)))})

    model = Model(lambda key: {"params": {"w": jax.random.normal(key, (3,))}}, None)
    learner = fdl.gradient_learner(model, objective, optax.adam(0.05))
    return fdl.Experiment(
        learner, fdl.data.batches(data, 4, seed), lambda state: {"loss": 0.0}
    )


def prepare(seeds=1, **more):
    changes = {"steps_per_call": 1, "save_every": "4", **more.pop("config", {})}
    given = {"num_steps": NUM_STEPS, "log_every": "3", "eval_every": "5", **changes}
    chosen = complete(ConfigDict(given))
    experiments = [make(seed, **more) for seed in range(seeds)]
    return run_setup.setup(experiments, chosen), chosen


def train(setup, chosen, workdir):
    """Trains, and returns what went wrong."""
    workdir.mkdir(exist_ok=True)
    start = session.start(setup, chosen, workdir, pytest.fail)
    with pytest.raises(NonFiniteError) as caught:
        session.train(
            setup,
            start,
            workdir,
            show=lambda *line: None,
            stop=lambda: False,
            stages={},
        )
    return caught.value


def plain_loop(seed, num_steps, rows=()):
    """The state of a seed after some steps, one at a time."""
    experiment = make(seed, rows)
    state = jax.jit(experiment.learner.init)(jax.random.key(seed))
    step, stream = jax.jit(experiment.learner.step), experiment.batches.stream(0)
    for _ in range(num_steps):
        batch = experiment.batches.take(experiment.batches.data, next(stream))
        state, _ = step(state, batch)
    return state


def first_with(row, seed=0):
    """The first step whose batch has a row of the data."""
    for step, item in enumerate(make(seed).batches.stream(0), start=1):
        if row in item["index"]:
            return step


@pytest.fixture
def row():
    """One that comes in the second half of the first epoch."""
    return next(row for row in range(20) if first_with(row) == 5)


@pytest.mark.parametrize("steps_per_call", [1, 4])
def test_it_holds_the_step_its_examples_its_keys_and_the_state_before(
    tmp_path, row, steps_per_call
):
    config = {"steps_per_call": steps_per_call}
    setup, chosen = prepare(rows=[row], config=config)
    error = train(setup, chosen, tmp_path)
    assert (error.step, error.metric) == (5, "loss") and isinstance(error, RunError)
    folder = failure.save_snapshot(setup, tmp_path, error)
    assert folder == tmp_path / "failure"
    told = failure.read_description(tmp_path)
    assert (told["step"], told["metric"], told["members"]) == (5, "loss", None)
    assert row in told["examples"] and len(told["examples"]) == 4
    expected = plain_loop(0, 4, [row])
    assert told["keys"] == {"key": jax.random.key_data(expected.key).tolist()}
    carry = Checkpoints(folder).restore(4, setup.program.abstract(setup.keys))
    for ours, theirs in zip(
        jax.tree.leaves(carry.state), jax.tree.leaves(expected), strict=True
    ):
        assert jnp.array_equal(ours, theirs)
    with np.load(folder / "batch.npz") as arrays:
        assert arrays["index"].tolist() == told["examples"]
    # Nothing else of the run is touched.
    assert Checkpoints(tmp_path / "checkpoints").steps() == [4]


def test_what_is_run_again_is_what_was_run(tmp_path, row):
    """From the beginning, from a checkpoint, or from the snapshot: the same bits."""
    setup, chosen = prepare(rows=[row])
    error = train(setup, chosen, tmp_path)
    failure.save_snapshot(setup, tmp_path, error)
    (tmp_path / "empty").mkdir()
    found = [
        failure.state_before(setup, folder, 5, pytest.fail)
        for folder in (tmp_path, tmp_path / "empty")
    ]
    assert [start for _, start in found] == [4, 0]
    states = [jax.tree.leaves(carry.state) for carry, _ in found]
    assert all(jnp.array_equal(a, b) for a, b in zip(*states, strict=True))
    assert all(not x.any() for x in jax.tree.leaves(found[0][0].metrics))
    _, metrics = failure.run_step(setup, found[0][0], 5)
    assert (
        np.isnan(metrics["loss"].compute())
        and failure.nonfinite_members(metrics) is None
    )
    with pytest.raises(NonFiniteError, match="at step 5"):
        failure.state_before(setup, tmp_path, 9, pytest.fail)


def test_the_very_first_step_can_go_wrong(tmp_path):
    setup, chosen = prepare(rows=range(20))
    failure.save_snapshot(setup, tmp_path, train(setup, chosen, tmp_path))
    assert failure.read_description(tmp_path)["step"] == 1
    carry, start = failure.state_before(setup, tmp_path, 1, pytest.fail)
    assert start == 0 and int(carry.step) == 0


def test_a_later_failure_takes_the_place_of_an_earlier_one(tmp_path, row):
    setup, chosen = prepare(rows=[row])
    error = train(setup, chosen, tmp_path)
    failure.save_snapshot(setup, tmp_path, NonFiniteError("loss", 4))
    failure.save_snapshot(setup, tmp_path, error)
    failure.save_snapshot(setup, tmp_path, NonFiniteError("loss", 2))
    assert failure.read_description(tmp_path)["step"] == 2
    assert Checkpoints(tmp_path / "failure").steps() == [1]


def test_of_several_seeds_the_one_that_went_wrong_is_told(tmp_path):
    row = next(row for row in range(20) if first_with(row, 1) == 1 < first_with(row))
    setup, chosen = prepare(seeds=3, rows=[row], bad=np.inf)
    error = train(setup, chosen, tmp_path)
    failure.save_snapshot(setup, tmp_path, error)
    told = failure.read_description(tmp_path)
    wrong = [seed for seed in range(3) if first_with(row, seed) == 1]
    assert told["step"] == 1 and told["members"] == wrong and 0 not in wrong
    assert np.shape(told["examples"]) == (3, 4)
    assert np.shape(told["keys"]["groups/0/key"]) == (3, 2)


def test_several_devices_keep_the_same(tmp_path, row):
    setup, chosen = prepare(rows=[row], config={"mesh": {"data": 2}})
    error = train(setup, chosen, tmp_path)
    failure.save_snapshot(setup, tmp_path, error)
    carry, _ = failure.state_before(setup, tmp_path, 5, pytest.fail)
    w = plain_loop(0, 4, [row]).params["w"]
    np.testing.assert_allclose(carry.state.params["w"], w, rtol=1e-5)
    _, metrics = failure.run_step(setup, carry, 5)
    assert np.isnan(metrics["loss"].compute())


def test_a_gradient_that_is_not_finite_is_enough():
    bad = {"loss": np.int32(0), "grad_norm": np.int32(7), "update_ratio": np.int32(7)}
    with pytest.raises(NonFiniteError) as caught:
        check_finite(bad)
    assert (caught.value.metric, caught.value.step) == ("grad_norm", 7)


def test_what_cannot_be_saved_is_an_error_of_its_own(tmp_path, row):
    setup, chosen = prepare(rows=[row])
    error = train(setup, chosen, tmp_path)
    (tmp_path / "failure").write_text("in the way")
    with pytest.raises(RunError, match=r"cannot write .*failure"):
        failure.save_snapshot(setup, tmp_path, error)
    assert failure.read_description(tmp_path) is None
    (tmp_path / "failure").unlink()
    with pytest.raises(RunError, match="stopped at step 0, on the way back to step 3"):
        failure.save_snapshot(setup, tmp_path, NonFiniteError("loss", 4), lambda: True)
    assert failure.read_description(tmp_path) is None


def test_damage_is_noticed(tmp_path, row):
    setup, chosen = prepare(rows=[row])
    failure.save_snapshot(setup, tmp_path, train(setup, chosen, tmp_path))
    failure.check_batch(setup, tmp_path, 5)
    failure.check_batch(setup, tmp_path, 6)  # Nothing is known of it.
    other, _ = prepare(config={"seed": 3})
    other = other._replace(batches=make(seed=3).batches)
    with pytest.raises(RunError, match="is not the batch that the data gives at step"):
        failure.check_batch(other, tmp_path, 5)
    warned = []
    for folder, expected in (("checkpoints", 4), ("failure", 0)):
        (tmp_path / folder / "00000004/metrics.json").write_text("{}")
        _, start = failure.state_before(setup, tmp_path, 5, warned.append)
        assert start == expected and f"{folder}/00000004 is damaged" in warned[-1]
    batch = tmp_path / "failure/batch.npz"
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(RunError, match=r"batch\.npz is damaged"):
        failure.check_batch(setup, tmp_path, 5)
    description = json.loads((tmp_path / "failure/failure.json").read_text())
    assert set(description) == {
        *("step", "metric", "members", "examples", "keys", "time", "batch")
    }


def test_a_part_that_checkpoints_leave_out_is_in_the_snapshot(tmp_path, row):
    experiment = make(rows=[row])
    learner = experiment.learner._replace(
        persist=lambda state: state._replace(opt_state=()),
        revive=lambda part, key: part._replace(
            opt_state=optax.adam(0.05).init(part.params)
        ),
    )
    _, chosen = prepare()
    setup = run_setup.setup([experiment._replace(learner=learner)], chosen)
    error, warned = train(setup, chosen, tmp_path), []
    failure.state_before(setup, tmp_path, 5, warned.append)
    assert "step 4 leaves out a part of the state" in warned[0]
    failure.save_snapshot(setup, tmp_path, error)
    carry, start = failure.state_before(setup, tmp_path, 5, pytest.fail)
    assert start == 4 and jax.tree.leaves(carry.state.opt_state)
