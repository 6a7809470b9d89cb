"""Layers are measured while a run goes on: the same, however it is stopped."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

import fdl
from fdl.config import complete
from fdl.errors import UserError
from fdl.runs import metric_plots, run_setup, session
from fdl.runs.layer_hook import NUM_EXAMPLES

PROGRAMS = 130

DATA = {
    "image": np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32),
    "label": np.arange(80) % 2,
}


def make(seed=0):
    model = fdl.models.functional(
        fdl.models.MLP((4,), 2, dropout=0.5), jnp.zeros((1, 3))
    )
    objective = fdl.objectives.classification(model)
    return fdl.Experiment(
        fdl.gradient_learner(
            model, objective, fdl.optim.chain("sgd", 0.1, num_steps=9)
        ),
        fdl.data.batches(DATA, 40, seed),
        fdl.on_dataset(objective, fdl.data.batches(DATA, 80, shuffle=False)),
    )


def prepare(seeds=1, **changes):
    given = {"num_steps": 9, "eval_every": 4, "save_every": 2, "layers_every": 3}
    config = complete(ConfigDict({**given, **changes}))
    return run_setup.setup([make(seed) for seed in range(seeds)], config), config


def train(setup, config, workdir, num_calls=None):
    """Trains, until it is stopped after some calls; returns the step."""
    workdir.mkdir(exist_ok=True)
    asked = itertools.count()
    start = session.start(setup, config, workdir, pytest.fail)
    return session.train(
        setup,
        start,
        workdir,
        show=lambda *line: None,
        stop=lambda: num_calls is not None and next(asked) >= num_calls,
        stages={},
    )


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def lines(workdir):
    return [json.loads(x) for x in (workdir / "layers.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "seeds, num_calls",
    [(1, 4), *(slow(seeds, n) for seeds, n in ((1, 1), (3, 1), (3, 4)))],
)
def test_a_run_stopped_anywhere_has_measured_the_same(tmp_path, seeds, num_calls):
    setup, config = prepare(seeds)
    train(setup, config, tmp_path / "straight")
    expected = (tmp_path / "straight/layers.jsonl").read_bytes()
    assert [row["step"] for row in lines(tmp_path / "straight")] == [0, 3, 6, 9]
    workdir = tmp_path / "stopped"
    while train(setup, config, workdir, num_calls).step < 9:
        pass
    assert (workdir / "layers.jsonl").read_bytes() == expected


def test_a_run_killed_before_it_has_saved_measures_its_beginning_once(tmp_path):
    setup, config = prepare()
    old = {"step": 0, "gradient": {}, "activation": {}}
    (tmp_path / "layers.jsonl").write_text(f"{json.dumps(old)}\n" * 2)
    train(setup, config, tmp_path)
    assert [row["step"] for row in lines(tmp_path)] == [0, 3, 6, 9]
    assert lines(tmp_path)[0]["gradient"]


@pytest.mark.parametrize("seeds", [slow(1), 2])
def test_numbers_are_those_of_the_first_examples_of_the_first_batch(tmp_path, seeds):
    setup, config = prepare(seeds, num_steps=1, layers_every=1)
    train(setup, config, tmp_path)
    first, last = lines(tmp_path)
    for seed in range(seeds):
        experiment = make(seed)
        batches = experiment.batches
        batch = batches.take(batches.data, next(batches.stream(0)))
        few = {name: array[:NUM_EXAMPLES] for name, array in batch.items()}
        state = jax.jit(experiment.learner.init)(jax.random.key(seed))
        measure = jax.jit(fdl.diagnostics.layer_stats, static_argnums=0)
        step = jax.jit(experiment.learner.step)
        for row in (first, last):
            found = measure(experiment.learner.objective, state.variables, few)
            assert list(row["gradient"]) == list(found) == ["dense_0", "head"]
            for name, norms in found.items():
                for kind, value in norms._asdict().items():
                    mine = np.ravel(row[kind][name])[seed]
                    np.testing.assert_allclose(mine, value, rtol=1e-5)
            state, _ = step(state, batch)


def test_training_learns_the_same_whether_it_is_measured_or_not(tmp_path):
    for name, every in (("measured", 3), ("unmeasured", "never")):
        train(*prepare(layers_every=every), tmp_path / name)
    rows = [
        (tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1]
        for name in ("measured", "unmeasured")
    ]
    assert rows[0] == rows[1]
    assert not (tmp_path / "unmeasured/layers.jsonl").exists()
    assert metric_plots.draw_layers(tmp_path / "unmeasured") is None


def test_what_has_no_objective_is_told_before_anything_is_trained():
    experiment = make()
    learner = experiment.learner._replace(objective=None)
    config = complete(ConfigDict({"num_steps": 2, "layers_every": 1}))
    with pytest.raises(UserError, match=r"layers_every: expected never, since"):
        run_setup.setup([experiment._replace(learner=learner)], config)
