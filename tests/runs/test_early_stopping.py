"""Early stopping: by its definition, by flax, and over stops and resumes."""

import itertools
import json
import shutil
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.early_stopping import EarlyStopping
from ml_collections import ConfigDict

import fdl
from fdl.config import complete, override
from fdl.errors import UserError
from fdl.runs import run_setup, session
from fdl.runs.checkpoint import Checkpoints
from fdl.runs.early_stopping import rule_of_config
from fdl.train.early_stopping import (
    EarlyStoppingRule,
    best_evaluation,
    make_rule,
    stop_step,
)
from fdl.types import Mean, Model

DATA = {"x": np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)}
EVERY = 5
# What evaluations say at the steps 5, 10, ...; of two seeds.
ACCURACY = np.array(
    [
        [0.1, 0.3, 0.3, 0.5, 0.4, 0.5, 0.2, 0.9],
        [0.6, 0.5, 0.5, 0.5, 0.7, 0.1, 0.1, 0.1],
    ]
)


def naive(values, patience, min_delta):
    """Where it ends, in so many words; less is better."""
    best, last = np.inf, -1
    for place, value in enumerate(values):
        if value < best - min_delta:
            best, last = value, place
        if place - last >= patience:
            return place
    return None


@pytest.mark.parametrize("patience", [1, 2, 5])
@pytest.mark.parametrize("min_delta", [0.0, 0.25])
def test_it_ends_where_the_definition_and_flax_do(patience, min_delta):
    rng = np.random.default_rng(patience)
    for _ in range(200):
        values = np.round(rng.normal(size=20).cumsum() / 4, 2) + 8
        rule = make_rule("min loss", patience, min_delta)
        found = stop_step(rule, enumerate(values))
        assert found == naive(values, patience, min_delta)
        mirrored = make_rule("max gain", patience, min_delta)
        assert stop_step(mirrored, enumerate(-values)) == found
        # Flax counts one more, and never takes back a decision.
        flax = EarlyStopping(min_delta=min_delta, patience=patience - 1)
        theirs = None
        for place, value in enumerate(values):
            flax = flax.update(value)
            theirs = place if flax.should_stop and theirs is None else theirs
        assert found == theirs


def test_several_seeds_end_when_the_last_of_them_would():
    rule = make_rule("max accuracy", patience=2)
    alone = [stop_step(rule, enumerate(seed)) for seed in ACCURACY]
    assert alone == [5, 2]
    both = [(i, column.tolist()) for i, column in enumerate(ACCURACY.T)]
    assert stop_step(rule, both) == 5
    assert stop_step(rule, both[:5]) is None
    assert best_evaluation(rule, both[:6]) == (4, pytest.approx(0.55))


def test_what_is_no_number_is_never_better():
    rule = make_rule("min loss", patience=2)
    assert stop_step(rule, enumerate([None, None, 1.0])) == 1
    assert stop_step(rule, enumerate([2.0, None, float("nan"), 1.0])) == 2
    assert stop_step(rule, enumerate([2.0, None, 1.0, None])) is None
    assert best_evaluation(rule, [(1, None), (2, 3.0)]) == (2, 3.0)


def make(seed=0, table=ACCURACY):
    """An experiment whose evaluations are known beforehand."""

    def objective(variables, batch, key=None, *, train=False):
        error = batch["x"] @ variables["params"]["w"]
        loss = (error**2).mean()
        return loss, ({}, {"loss": Mean(loss, jnp.ones(()))})

    def evaluate(variables):
        place = max(0, int(variables["step"]) // EVERY - 1)
        return {"accuracy": float(table[seed][place]), "loss": float(place)}

    model = Model(lambda key: {"params": {"w": jax.random.normal(key, (3,))}}, None)
    learner = fdl.gradient_learner(model, objective, optax.adam(0.05))
    learner = learner._replace(
        variables=lambda state: {"params": state.params, "step": state.step}
    )
    return fdl.Experiment(learner, fdl.data.batches(DATA, 4, seed), evaluate)


def config(**early):
    given = ConfigDict({"num_steps": 40, "log_every": "3", "save_every": "4"})
    given.eval_every = f"{EVERY} steps"
    given.best = "max accuracy"
    given.early_stopping = {"metric": "max accuracy", "patience": 2, **early}
    return complete(given)


def prepare(seeds=1, **early):
    chosen = config(**early)
    experiment = make()
    each = [experiment._replace(batches=make(seed).batches) for seed in range(seeds)]
    setup = run_setup.setup(each, chosen)
    if seeds > 1:  # The evaluation of a seed cannot know which it is.
        rows = [make(seed).evaluate for seed in range(seeds)]

        setup = setup._replace(evaluate=fdl.evaluate_each(rows))
    return setup, chosen


def train(setup, chosen, workdir, stop=lambda: False):
    workdir.mkdir(exist_ok=True)
    start = session.start(setup, chosen, workdir, pytest.fail)
    return session.train(
        setup, start, workdir, show=lambda *line: None, stop=stop, stages={}
    ).step


def result(setup, chosen, workdir):
    """All numbers of a run: of its last checkpoint, and the bytes of its metrics."""
    checkpoints = Checkpoints(workdir / "checkpoints", best=chosen.best)
    step = checkpoints.steps()[-1]
    carry = checkpoints.restore(step, setup.program.saved(setup.keys))
    leaves = [
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        for x in jax.tree.leaves(carry)
    ]
    numbers = [np.asarray(x).tobytes() for x in leaves]
    return step, numbers, (workdir / "metrics.jsonl").read_bytes()


def after(num_calls):
    asked = itertools.count()
    return lambda: next(asked) >= num_calls


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_run_that_is_stopped_and_resumed_ends_early_at_the_same_step(tmp_path, seeds):
    setup, chosen = prepare(seeds)
    assert train(setup, chosen, tmp_path / "straight") == 30
    expected = result(setup, chosen, tmp_path / "straight")
    rows = [json.loads(line) for line in expected[2].splitlines()]
    assert [r["step"] for r in rows if "eval/loss" in r] == [5, 10, 15, 20, 25, 30]
    assert rows[-1]["step"] == 30  # What is left over is logged, as at any end.
    assert sum("train/loss" in row for row in rows) == 10
    for num_calls in (4, 7):
        workdir, reached = tmp_path / f"{num_calls}", [0]
        while not session.finished(setup, workdir, reached[-1]):
            reached.append(train(setup, chosen, workdir, after(num_calls)))
        assert result(setup, chosen, workdir) == expected
    # Once it has ended, it has ended.
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "straight").rglob("*")}
    assert train(setup, chosen, tmp_path / "straight", stop=pytest.fail) == 30
    after_it = {p: p.stat().st_mtime_ns for p in (tmp_path / "straight").rglob("*")}
    assert before == after_it


def test_what_was_written_behind_the_last_checkpoint_is_not_believed(tmp_path):
    """As after a run that was killed while it saved."""
    setup, chosen = prepare()
    assert train(setup, chosen, tmp_path) == 30
    expected = result(setup, chosen, tmp_path)
    shutil.rmtree(tmp_path / "checkpoints/00000030")
    start = session.start(setup, chosen, tmp_path, pytest.fail).step
    assert start == 28 and not session.finished(setup, tmp_path, start)
    assert train(setup, chosen, tmp_path) == 30
    assert result(setup, chosen, tmp_path) == expected


def test_a_run_that_ends_in_the_middle_of_a_period_logs_what_is_left(tmp_path):
    """At step 10, where every third is logged."""
    setup, chosen = prepare(patience=1)
    table = np.array([[0.5, *[0.0] * 7]])
    setup = setup._replace(evaluate=make(table=table).evaluate)
    assert train(setup, chosen, tmp_path) == 10
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(row)["step"] for row in rows if "train/loss" in row]
    assert steps == [3, 6, 9, 10]
    assert Checkpoints(tmp_path / "checkpoints").steps()[-1] == 10


def test_it_is_off_unless_a_metric_is_named(tmp_path):
    setup, chosen = prepare(metric=None, patience=1)
    assert setup.rule is None and train(setup, chosen, tmp_path) == 40
    assert rule_of_config(complete(ConfigDict()), 0, 10) is None
    on = config()
    override(on, ["early_stopping.metric=none"])
    assert on.early_stopping.metric is None
    override(on, ["early_stopping.metric=min loss", "early_stopping.patience=7"])
    assert rule_of_config(on, 5, 40) == EarlyStoppingRule("loss", 1, 7, 0.0)


@pytest.mark.parametrize(
    "early, told",
    [
        ({"metric": "accuracy"}, "early_stopping.metric='accuracy': expected 'min M"),
        ({"metric": 3}, "early_stopping.metric=3: expected 'min METRIC'"),
        ({"patience": 0}, "early_stopping.patience=0: expected at least 1"),
        ({"patience": 1.5}, "early_stopping.patience=1.5: expected at least 1"),
        ({"min_delta": -1.0}, "early_stopping.min_delta=-1.0: expected at least 0"),
        ({"min_delta": float("nan")}, "early_stopping.min_delta=nan"),
        ({"patients": 3}, "has no key 'patients'. Did you mean 'patience'"),
    ],
)
def test_nonsense_is_told_before_anything_runs(early, told):
    with pytest.raises(UserError, match=told):
        prepare(**early)


@pytest.mark.parametrize("every", ["never", "40 steps", "1000 steps"])
def test_evaluations_there_must_be(every):
    chosen = config()
    chosen.eval_every = every
    with pytest.raises(UserError, match=f"config.eval_every='{every}' has none in 40"):
        run_setup.setup([make()], chosen)


def test_a_metric_that_is_never_written_is_told_before_the_first_step(tmp_path):
    setup, chosen = prepare(metric="max acuracy")
    with pytest.raises(UserError, match=r"'acuracy': expected .* Did you mean 'acc"):
        train(setup, chosen, tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_run_takes_it_as_a_hook_and_a_stop():
    experiment, logged = make(), {}
    stopping = partial(
        fdl.train.early_stopping, experiment.learner, experiment.evaluate
    )
    hook, stop = stopping("max accuracy", every=EVERY, patience=2)
    state = fdl.train.run(
        experiment.learner,
        experiment.batches,
        num_steps=40,
        hooks=[hook],
        stop=stop,
        log_every=4,
        log=lambda step, values: logged.update({step: values}),
    )
    assert state.step == 30 and [*logged] == [*range(4, 30, 4), 30]
    straight = fdl.train.run(experiment.learner, experiment.batches, num_steps=30)
    assert np.array_equal(state.params["w"], straight.params["w"])
    hook, stop = stopping("min los", every=EVERY)
    with pytest.raises(UserError, match="metric='los': expected a metric"):
        fdl.train.run(
            experiment.learner, experiment.batches, num_steps=9, hooks=[hook], stop=stop
        )
    with pytest.raises(UserError, match="every=0: expected at least 1"):
        stopping("min loss", every=0)
