"""A run in a folder: what is written when, and that stopping changes nothing."""

import itertools
import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

import fdl
from fdl.config import complete
from fdl.errors import RunError, UserError
from fdl.runs import run_setup, session
from fdl.runs.checkpoint import Checkpoints
from fdl.runs.training_clock import TrainingClock

PROGRAMS = 230

DATA = {
    "x": np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32),
    "y": np.random.default_rng(1).normal(size=20).astype(np.float32),
}
BATCH_SIZE = 4
PERIODS = {"log_every": "3", "eval_every": "5 steps", "save_every": "4 steps"}


def objective(variables, batch, key=None, *, train=False):
    x = batch["x"]
    if train:  # Noise, so that the key of each step matters.
        x = x + 0.1 * jax.random.normal(key, x.shape)
    error = x @ variables["params"]["w"] - batch["y"]
    loss = jnp.mean(error**2)
    metrics = {"loss": fdl.types.Mean(jnp.sum(error**2), jnp.float32(error.size))}
    return loss, ({}, metrics)


def make(seed=0, target=objective):
    """An experiment without files: least squares, batches shuffled by the seed."""
    model = fdl.types.Model(
        lambda key: {"params": {"w": jax.random.normal(key, (3,))}}, lambda *_: None
    )
    return fdl.Experiment(
        fdl.gradient_learner(model, target, optax.adam(0.05)),
        fdl.data.batches(DATA, BATCH_SIZE, seed),
        fdl.on_dataset(objective, fdl.data.batches(DATA, 8, shuffle=False)),
    )


def config(**changes):
    given = ConfigDict({"num_steps": 17, **PERIODS})
    given.update(changes)
    return complete(given)


def prepare(seeds=1, target=objective, **changes):
    chosen = config(**changes)
    experiments = [make(seed, target) for seed in range(seeds)]
    return run_setup.setup(experiments, chosen), chosen


def train(setup, chosen, workdir, stop=lambda: False):
    shown = []
    workdir.mkdir(exist_ok=True)
    start = session.start(setup, chosen, workdir, pytest.fail)
    result = session.train(
        setup,
        start,
        workdir,
        show=lambda *line: shown.append(line),
        stop=stop,
        stages={"imports": 1.0},
    )
    return result.step, shown


def begins(setup, chosen, workdir):
    """Where a run would go on."""
    return session.start(setup, chosen, workdir, pytest.fail).step


def result(setup, chosen, workdir):
    """All numbers of a run: of its last checkpoint, and the bytes of its metrics."""
    checkpoints = Checkpoints(workdir / "checkpoints", best=chosen.best)
    step = checkpoints.steps()[-1]
    carry = checkpoints.restore(step, setup.program.saved(setup.keys))
    leaves = [
        jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
        for x in jax.tree.leaves(carry)
    ]
    return (
        step,
        [np.asarray(x).tobytes() for x in leaves],
        (workdir / "metrics.jsonl").read_bytes(),
    )


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def after(num_calls):
    """A stop that comes after some calls of the device."""
    asked = itertools.count()
    return lambda: next(asked) >= num_calls


@pytest.mark.parametrize("num_calls", [2, slow(5)])
@pytest.mark.parametrize("seeds, steps_per_call", [(1, 4), slow(1, 1), slow(3, 4)])
def test_a_run_stopped_anywhere_ends_as_if_it_had_not_been(
    tmp_path, seeds, steps_per_call, num_calls
):
    setup, chosen = prepare(seeds, steps_per_call=steps_per_call)
    train(setup, chosen, tmp_path / "straight")
    expected = result(setup, chosen, tmp_path / "straight")
    assert expected[0] == 17
    workdir, reached = tmp_path / "stopped", [0]
    while reached[-1] < 17:
        reached.append(train(setup, chosen, workdir, after(num_calls))[0])
        assert begins(setup, chosen, workdir) == reached[-1] > reached[-2]
    assert len(reached) > 2
    assert result(setup, chosen, workdir) == expected


def test_a_run_stopped_where_it_has_just_saved_does_not_save_again(
    tmp_path, monkeypatch
):
    setup, chosen = prepare()
    saved, save = [], Checkpoints.save

    def spy(self, step, *rest):
        saved.append(step)
        save(self, step, *rest)

    monkeypatch.setattr(Checkpoints, "save", spy)
    assert train(setup, chosen, tmp_path, after(8))[0] == 8
    assert saved == [4, 5, 8]  # At step 5 it was better than before.
    assert train(setup, chosen, tmp_path, after(1))[0] == 9
    assert saved == [4, 5, 8, 9]


@pytest.mark.parametrize("steps_per_call", [slow(1), 4])
def test_each_line_is_written_once_and_says_what_a_plain_loop_says(
    tmp_path, steps_per_call
):
    setup, chosen = prepare(steps_per_call=steps_per_call)
    _, shown = train(setup, chosen, tmp_path)
    experiment = make()
    step = jax.jit(experiment.learner.step)
    state = jax.jit(experiment.learner.init)(jax.random.key(0))
    take, batches = experiment.batches.take, experiment.batches
    expected, seen = [], []
    for i, item in zip(range(1, 18), batches.stream(0), strict=False):
        state, metrics = step(state, take(batches.data, item))
        seen.append(metrics["loss"].compute())
        place = {"step": i, "epoch": i / 5}
        if i % 3 == 0 or i == 17:
            expected.append({**place, "train/loss": np.mean(seen)})
            seen = []
        if i % 5 == 0 or i == 17:
            value = experiment.evaluate(state.variables)["loss"]
            expected.append({**place, "eval/loss": value})
    rows = rows_of(tmp_path / "metrics.jsonl")
    for row in rows:
        for name in ("train/grad_norm", "train/update_ratio"):
            row.pop(name, None)
    assert [list(row) for row in rows] == [list(row) for row in expected]
    chex.assert_trees_all_close(rows, expected, rtol=1e-5)
    assert [step for step, *_ in shown] == [row["step"] for row in rows]


@pytest.mark.slow
def test_one_of_several_seeds_is_that_seed_alone(tmp_path):
    setup, chosen = prepare(seeds=3)
    train(setup, chosen, tmp_path / "all")
    all_rows = rows_of(tmp_path / "all/metrics.jsonl")
    for seed in (0, 2):
        alone = config(seed=seed)
        setup = run_setup.setup([make(seed)], alone)
        train(setup, alone, tmp_path / str(seed))
        rows = rows_of(tmp_path / f"{seed}/metrics.jsonl")
        mine = [
            {k: v[seed] if isinstance(v, list) else v for k, v in row.items()}
            for row in all_rows
        ]
        chex.assert_trees_all_close(mine, rows, rtol=1e-5)


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_finished_run_is_not_touched(tmp_path):
    setup, chosen = prepare()
    train(setup, chosen, tmp_path)
    before = times(tmp_path)
    step, shown = train(setup, chosen, tmp_path, stop=pytest.fail)
    assert (step, shown) == (17, [])
    assert times(tmp_path) == before


def test_clock_readings_are_kept_apart(tmp_path):
    setup, chosen = prepare()
    for name in "ab":
        train(setup, chosen, tmp_path / name)
    first, second = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in "ab")
    assert first == second
    rows = rows_of(tmp_path / "a/timings.jsonl")
    stages, *timed = rows
    assert set(stages["stages"]) == {"imports", "compile"}
    assert [row["step"] for row in timed] == [
        json.loads(line)["step"] for line in first.splitlines()
    ]
    seconds = [row["seconds"] for row in timed]
    assert seconds == sorted(seconds) and seconds[0] > 0


@pytest.mark.parametrize("steps_per_call", [slow(1), 4])
def test_the_speed_is_that_of_training_alone_from_the_first_lap_on(
    tmp_path, monkeypatch, steps_per_call
):
    """A step takes 2 s; compilation, evaluation and saving take far longer."""
    setup, chosen = prepare(steps_per_call=steps_per_call)
    now, save = [0.0], Checkpoints.save

    def slow(seconds, function):
        def call(*arguments):
            now[0] += seconds
            return function(*arguments)

        return call

    def stream(start):
        for item in setup.batches.stream(start):
            now[0] += 2.0
            yield item

    compiling = itertools.chain([60.0], itertools.repeat(0.0))
    advance = setup.program.advance
    slowed = setup._replace(
        batches=setup.batches._replace(stream=stream),
        evaluate=slow(100.0, setup.evaluate),
        program=setup.program._replace(
            advance=lambda *arguments: slow(next(compiling), advance)(*arguments)
        ),
    )
    monkeypatch.setattr(Checkpoints, "save", slow(1000.0, save))
    monkeypatch.setattr(session, "TrainingClock", lambda: TrainingClock(lambda: now[0]))
    for stop in (after(7), lambda: False):
        _, shown = train(slowed, chosen, tmp_path, stop)
        speeds = [speed for _, split, _, speed in shown if split == "train"]
        assert {*speeds[1:]} == {0.5} and speeds[0] in (None, 0.5)
    timed = [row for row in rows_of(tmp_path / "timings.jsonl") if "step" in row]
    assert timed[-2]["steps_per_second"] == 0.5


def test_a_best_that_is_not_evaluated_is_told_at_the_first_evaluation(tmp_path):
    setup, chosen = prepare(best="max los", eval_every="2 steps", save_every="never")
    with pytest.raises(UserError, match=r"config\.best='.*': 'los' is not evaluated"):
        train(setup, chosen, tmp_path)
    assert max(row["step"] for row in rows_of(tmp_path / "metrics.jsonl")) <= 2


def spoiled_at(bad):
    """An objective that divides by zero at one step; the key tells which it is."""
    keys = jax.vmap(
        lambda i: jax.random.fold_in(jax.random.split(jax.random.key(0))[1], i)
    )
    marked = jax.random.key_data(keys(jnp.arange(30)))[bad - 1]

    def target(variables, batch, key=None, *, train=False):
        loss, (state, metrics) = objective(variables, batch, key, train=train)
        now = jnp.all(jax.random.key_data(key) == marked)
        factor = jnp.where(now, jnp.nan, 1.0)
        metrics = {
            "loss": metrics["loss"]._replace(total=metrics["loss"].total * factor)
        }
        return loss * factor, (state, metrics)

    return target


@pytest.mark.parametrize(
    "bad, steps_per_call",
    [
        *((1, 4), (9, 4), (17, 1)),
        *(slow(*values) for values in ((1, 1), (8, 1), (9, 1), (8, 4), (17, 4))),
    ],
)
def test_the_first_bad_step_is_named_and_nothing_behind_it_saved(
    tmp_path, bad, steps_per_call
):
    setup, chosen = prepare(
        target=spoiled_at(bad), steps_per_call=steps_per_call, keep=9
    )
    with pytest.raises(
        RunError, match=f"metric 'loss' .* NaN or infinite at step {bad}$"
    ):
        train(setup, chosen, tmp_path)
    saved = Checkpoints(tmp_path / "checkpoints").steps()
    assert (
        {*range(4, bad, 4)}
        <= {*saved}
        <= {i for i in range(bad) if not i % 4 * (i % 5)}
    )
    rows = rows_of(tmp_path / "metrics.jsonl")
    assert all(row["step"] < bad for row in rows)
    if saved:  # What is left is what a good run has at that step.
        good, same = prepare(  # Of the same program: others may round otherwise.
            target=spoiled_at(30), steps_per_call=steps_per_call, num_steps=saved[-1]
        )
        train(good, same, tmp_path / "good")
        start = session.start(setup, chosen, tmp_path, pytest.fail)
        (tmp_path / "good/checkpoints").rename(tmp_path / "good/theirs")
        there = Checkpoints(tmp_path / "good/theirs").restore(
            saved[-1], good.program.saved(good.keys)
        )
        chex.assert_trees_all_equal(start.loop_state.state.params, there.state.params)


NONSENSE = {
    "log_every": ("often", "'often': expected a period"),
    "eval_every": ("-1 steps", "expected a period"),
    "save_every": ("2.5 steps", "expected a period"),
    "keep": (0, "expected an integer from 1"),
    "best": ("most loss", "expected 'min METRIC' or 'max METRIC'"),
    "steps_per_call": (0, "expected an integer from 1"),
    "mesh": ({"data": 64}, "expected at most 4 devices"),
    "num_steps": (0, "expected an integer from 1"),
    "num_epochs": (3, "set exactly one of them"),
}


@pytest.mark.parametrize("key", NONSENSE)
def test_nonsense_is_told_before_anything_runs(key):
    value, expected = NONSENSE[key]
    with pytest.raises(UserError, match=expected) as caught:
        prepare(**{key: value})
    assert f"config.{key}" in str(caught.value)


def with_test(**changes):
    """An experiment whose evaluations are counted, with a test."""
    plain, asked = make(), []

    def counted(name):
        def evaluate(variables):
            asked.append(name)
            return plain.evaluate(variables)

        return evaluate

    experiment = plain._replace(evaluate=counted("eval"), test=counted("test"))
    chosen = config(**changes)
    return run_setup.setup([experiment], chosen), chosen, asked


def run(setup, chosen, workdir, stop=lambda: False):
    start = session.start(setup, chosen, workdir, pytest.fail)
    silent = {"show": lambda *line: None, "stop": stop, "stages": {}}
    return session.train(setup, start, workdir, **silent)


def test_the_test_is_measured_once_at_the_end_and_reported_apart(tmp_path):
    setup, chosen, asked = with_test()
    first = run(setup, chosen, tmp_path, after(9))
    assert first.test is None and first.step < 17 and "test" not in asked
    last = run(setup, chosen, tmp_path)
    assert asked == ["eval"] * 4 + ["test"]
    assert last.metrics is last.test and last.test == last.validation
    *_, row = rows_of(tmp_path / "metrics.jsonl")
    assert row == {"step": 17, "epoch": 3.4, "test/loss": last.test["loss"]}
    again = run(setup, chosen, tmp_path)
    assert len(asked) == 5 and again[2:] == last[2:]


def test_a_run_that_was_killed_before_its_test_is_tested(tmp_path):
    setup, chosen, asked = with_test()
    run(setup._replace(test=None), chosen, tmp_path)
    assert run(setup, chosen, tmp_path).test and asked.count("test") == 1


def test_the_best_evaluation_is_saved_when_it_happens(tmp_path):
    setup, chosen, _ = with_test(save_every="16 steps", eval_every="3", keep=1)
    losses = iter([0.5, 0.4, 0.1, 0.3, 0.2, 0.3])
    setup = setup._replace(evaluate=lambda variables: {"loss": next(losses)})
    run(setup, chosen, tmp_path)
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=1)
    assert checkpoints.best() == 9 and checkpoints.steps() == [9, 17]


def test_a_checkpoint_holds_the_model_alone_as_well(tmp_path):
    setup, chosen, _ = with_test()
    last = run(setup, chosen, tmp_path)
    variables = Checkpoints(tmp_path / "checkpoints").read_variables(17)
    np.testing.assert_array_equal(
        variables["params"]["w"], last.loop_state.state.params["w"]
    )


def test_what_a_checkpoint_leaves_out_is_said(tmp_path):
    experiment = make()
    assert session.left_out(prepare()[0]) == ""
    learner = experiment.learner._replace(
        persist=lambda state: state._replace(opt_state=()),
        revive=lambda part, key: part._replace(
            opt_state=optax.adam(0.05).init(part.params)
        ),
    )
    setup = run_setup.setup([experiment._replace(learner=learner)], config())
    said = "checkpoints hold 0 of 0 KiB: opt_state/0 "
    assert session.left_out(setup) == f"{said}is made anew when a run is resumed"
    assert session.left_out(setup, 9) == f"{said}was made anew"
    run(setup, config(), tmp_path, after(9))
    assert run(setup, config(), tmp_path).step == 17


def test_a_call_has_no_room_for_more_steps_than_are_due():
    setup, _ = prepare(steps_per_call=10**6)
    assert setup.program.steps_per_call == 3  # As of `log_every`.
    setup, _ = prepare(steps_per_call=10**6, num_steps=2)
    assert setup.program.steps_per_call == 2


def test_samples_are_those_of_each_evaluation_also_of_a_resumed_run(tmp_path):
    def write(variables):
        return f"first: {float(variables['params']['w'][0]):.9g}\n☃"

    chosen = config()
    setup = run_setup.setup([make()._replace(samples=write)], chosen)
    heard = []
    for name, stops in (
        ("straight", [lambda: False]),
        ("in parts", [after(3) for _ in range(9)]),
    ):
        (tmp_path / name).mkdir()
        for stop in stops:
            start = session.start(setup, chosen, tmp_path / name, pytest.fail)
            session.train(
                setup,
                start,
                tmp_path / name,
                show=lambda *_: None,
                stop=stop,
                stages={},
                show_samples=heard.append,
            )
    rows = rows_of(tmp_path / "straight/samples.jsonl")
    assert [row["step"] for row in rows] == [5, 10, 15, 17]
    assert [row["text"] for row in rows] == heard[:4]
    assert rows == rows_of(tmp_path / "in parts/samples.jsonl")
    state = session.start(setup, chosen, tmp_path / "straight", pytest.fail)
    assert write(state.loop_state.state.variables) == heard[3]


def test_samples_of_several_seeds_are_of_the_first(tmp_path):
    seeds = [
        make(seed)._replace(samples=lambda x: str(x["params"]["w"].shape))
        for seed in range(2)
    ]
    chosen = config()
    setup = run_setup.setup(seeds, chosen)
    each = {str(seed): {"w": jnp.zeros(3 + seed)} for seed in range(2)}
    assert setup.samples({"params": each}) == "(3,)"
