import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import train
from fdl.errors import RunError, UserError
from fdl.train import Hook
from fdl.types import Batches, Mean, Model

MODEL = Model(
    init=lambda key: {"params": jnp.float32(0.0)},
    apply=lambda variables, x, key=None, train=False: (variables["params"] - x, {}),
)


def objective(variables, batch, key=None, *, train=False):
    error, model_state = MODEL.apply(variables, batch["x"])
    loss = jnp.square(error).mean()
    metrics = {
        "loss": Mean(loss, jnp.ones(())),
        "x": Mean(batch["x"].sum(), jnp.ones(())),
    }
    return loss, (model_state, metrics)


LEARNER = fdl.gradient_learner(MODEL, objective, optax.sgd(0.1))


def counting(start=0):
    """Batch n holds the number n."""
    return ({"x": np.float32([n])} for n in itertools.count(start))


BATCHES = Batches(counting)


@pytest.mark.parametrize("num_steps", [1, 7, 10])
@pytest.mark.parametrize("steps_per_call", [1, 4, 100])
def test_n_steps_are_n_steps(num_steps, steps_per_call):
    state = train.run(
        LEARNER, BATCHES, num_steps=num_steps, steps_per_call=steps_per_call
    )
    assert state.step == num_steps


@pytest.mark.parametrize("steps_per_call", [1, 4, 100])
def test_what_is_logged_is_the_mean_since_the_last_time(steps_per_call):
    logged = {}
    train.run(
        LEARNER,
        BATCHES,
        num_steps=10,
        steps_per_call=steps_per_call,
        log_every=3,
        log=lambda step, values: logged.update({step: values["x"]}),
    )
    # Batch n is taken by step n + 1: 0, 1, 2 by the first three, and 9 by the last.
    assert logged == {3: 1.0, 6: 4.0, 9: 7.0, 10: 9.0}


@pytest.mark.parametrize("steps_per_call", [1, 4])
def test_hooks_are_called_at_their_multiples_and_at_the_end_in_order(steps_per_call):
    called = []

    def hook(name):
        def call(step, carry):
            assert int(carry.state.step) == step
            called.append((name, step))
            return carry

        return call

    hooks = [Hook(4, hook("a")), Hook(6, hook("b")), Hook(0, hook("c"))]
    train.run(
        LEARNER, BATCHES, num_steps=13, steps_per_call=steps_per_call, hooks=hooks
    )
    expected = [("a", 4), ("b", 6), ("a", 8), ("a", 12), ("b", 12)]
    assert called == [*expected, ("a", 13), ("b", 13), ("c", 13)]


def test_fused_steps_end_where_the_shape_of_a_batch_changes():
    """Of buckets, say: each step has its own batch, and each shape one trace."""
    traces = []

    def step(state, batch):
        traces.append(batch["x"].shape)
        return LEARNER.step(state, batch)

    def stream(start):
        shapes = [1, 1, 1, 1, 1, 2, 2, 3, 1, 1]
        return (
            {"x": np.full(shapes[n % 10], n / shapes[n % 10], np.float32)}
            for n in itertools.count(start)
        )

    states, logged = [], []
    for steps_per_call in (1, 4):
        traces.clear()
        state = train.run(
            LEARNER._replace(step=step),
            Batches(stream),
            num_steps=23,
            steps_per_call=steps_per_call,
            log_every=7,
            log=lambda step, values: logged.append((step, values["x"])),
        )
        states.append(state.params)
        assert sorted(traces) == [(1,), (2,), (3,)]
    assert states[0] == states[1]
    assert logged == 2 * [(7, 3.0), (14, 10.0), (21, 17.0), (23, 21.5)]


def test_a_run_stops_when_it_is_asked_to_and_says_where():
    program = train.compiled(LEARNER, BATCHES, steps_per_call=4)
    answers = iter([False, False, True])
    carry, step = train.iterate(
        program,
        program.init(jax.random.key(0)),
        BATCHES,
        0,
        100,
        stop=lambda: next(answers),
    )
    assert step == carry.state.step == 8


@pytest.mark.parametrize("steps_per_call", [1, 4])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_the_first_bad_step_and_metric_are_named(steps_per_call, bad):
    def stream(start):
        return (
            {"x": np.float32([bad if n == 6 else 0])} for n in itertools.count(start)
        )

    with pytest.raises(RunError, match="'loss' became NaN or infinite at step 7"):
        train.run(
            LEARNER,
            Batches(stream),
            num_steps=20,
            steps_per_call=steps_per_call,
            log_every=5,
            log=lambda step, values: None,
        )


@pytest.mark.parametrize(
    "options",
    [
        {"num_steps": 2.5},
        {"num_steps": -1},
        {"num_steps": "ten"},
        {"num_steps": 2**31},
        {"num_steps": 1, "steps_per_call": 1.5},
        {"num_steps": 1, "steps_per_call": 0},
        {"num_steps": 1, "log_every": 0.5},
    ],
)
def test_counts_that_are_none_are_told(options):
    name, value = list(options.items())[-1]
    with pytest.raises(UserError, match=f"^{name}={value!r}: expected an integer from"):
        train.run(LEARNER, BATCHES, **options)


def test_a_number_of_steps_may_be_written_as_a_float():
    assert int(train.run(LEARNER, BATCHES, num_steps=1e1).step) == 10


def test_no_more_batches_are_drawn_than_steps_taken():
    drawn = []

    def stream(start):
        for n in itertools.count(start):
            drawn.append(n)
            yield {"x": np.float32([n])}

    train.run(LEARNER, Batches(stream), num_steps=6, steps_per_call=4)
    # One more was drawn to see the shapes.
    assert drawn == [0, 0, 1, 2, 3, 4, 5]


def test_metrics_that_have_seen_nothing_are_left_out():
    def silent(variables, batch, key=None, *, train=False):
        loss, (state, metrics) = objective(variables, batch, key, train=train)
        return loss, (state, metrics | {"rare": Mean(jnp.zeros(()), jnp.zeros(()))})

    learner = fdl.gradient_learner(MODEL, silent, optax.sgd(0.1))
    logged = []
    train.run(
        learner, BATCHES, num_steps=1, log=lambda step, values: logged.append(values)
    )
    assert "loss" in logged[0] and "rare" not in logged[0]
