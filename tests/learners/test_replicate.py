"""Learners trained as one: each learns what it would alone."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

import fdl
from fdl import data, models, objectives, train
from fdl.errors import UserError
from fdl.learners import join_metrics, select, select_variables
from fdl.types import Learner

PROGRAMS = 120

RANDOM = np.random.default_rng(0)
SOURCE = {
    "features": RANDOM.normal(size=(30, 5)).astype(np.float32),
    "label": RANDOM.integers(3, size=30).astype(np.int32),
}
BATCHES = data.batches(SOURCE, 8, seed=3)
MODEL = models.functional(models.MLP((8,), 3, dropout=0.5), SOURCE["features"][:1])
OBJECTIVE = objectives.classification(MODEL, inputs="features")
EVALUATE = fdl.on_dataset(OBJECTIVE, data.batches(SOURCE, 30, shuffle=False))


def sgd(momentum=0.0):
    return fdl.gradient_learner(MODEL, OBJECTIVE, optax.sgd(0.1, momentum))


def started(learner, factor):
    """A learner whose initial parameters are multiplied by a factor."""

    def init(key):
        state = learner.init(key)
        return state._replace(params=jax.tree.map(lambda x: factor * x, state.params))

    return learner._replace(init=init)


# Two of one program, around one of another.
LEARNERS = {
    "small": started(sgd(), 0.1),
    "adam": fdl.gradient_learner(MODEL, OBJECTIVE, optax.adam(0.01)),
    "large": started(sgd(), 2.0),
}


def trained(learner, batches, **how):
    rows = []
    state = train.run(
        learner,
        batches,
        num_steps=9,
        seed=5,
        log_every=3,
        log=lambda step, values: rows.append(values),
        **how,
    )
    return state, rows


@pytest.mark.slow
@pytest.mark.parametrize("steps_per_call", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_learner_learns_number_for_number_what_it_learns_alone(steps_per_call):
    how = {"steps_per_call": steps_per_call}
    named, rows = trained(*fdl.replicate(LEARNERS, BATCHES), **how)
    assert named.names == (("small", "large"), ("adam",))
    in_order = [*LEARNERS.values()]
    numbered, stacked = trained(*fdl.replicate(in_order, BATCHES), **how)
    assert numbered.names == (("0", "2"), ("1",))
    for i, (name, learner) in enumerate(LEARNERS.items()):
        alone, expected = trained(learner, BATCHES, **how)
        for together in (select(named, name), select(numbered, i)):
            chex.assert_trees_all_close(alone.params, together.params, rtol=1e-5)
            chex.assert_trees_all_equal(
                *(jax.random.key_data(state.key) for state in (alone, together))
            )
        for by_name, by_number, values in zip(rows, stacked, expected, strict=True):
            for metric, value in values.items():
                assert by_name[f"{name}/{metric}"] == pytest.approx(value, rel=1e-5)
                assert by_number[metric].shape == (3,)
                assert by_number[metric][i] == pytest.approx(value, rel=1e-5)


def with_constant(number):
    def step(state, batch):
        return state * number, {"loss": state.sum()}

    return Learner(lambda key: jnp.ones(3), step)


@pytest.mark.parametrize(
    "first, second, equal",
    [
        (sgd(), sgd(), True),
        (sgd(), sgd(momentum=0.9), False),  # Another state.
        (with_constant(2.0), with_constant(2.0), True),
        (with_constant(2.0), with_constant(3.0), False),
        (with_constant(np.ones(3)), with_constant(np.ones(3)), True),
        (with_constant(np.ones(3)), with_constant(np.arange(3.0)), False),
        (
            with_constant(2.0),
            with_constant(2.0)._replace(partition=PartitionSpec("data")),
            False,
        ),
    ],
)
def test_learners_of_equal_programs_are_vmapped(first, second, equal):
    learner, _ = fdl.replicate([first, second], BATCHES)
    groups = jax.eval_shape(learner.init, jax.random.key(0)).names
    assert groups == ((("0", "1"),) if equal else (("0",), ("1",)))


def test_one_learner_many_times_is_traced_once():
    traces = []

    def step(state, batch):
        traces.append(batch)
        return state + 1, {"loss": state}

    learner = Learner(lambda key: jax.random.normal(key), step)
    replicas, _ = fdl.replicate([learner] * 4, data.no_data())
    keys = jax.random.split(jax.random.key(0), 4)
    state = jax.jit(replicas.init)(keys)
    state, metrics = jax.jit(replicas.step)(state, None)
    assert len(traces) == 1
    expected = np.array([jax.random.normal(key) for key in keys])
    np.testing.assert_allclose(metrics["loss"].compute(), expected, rtol=1e-6)
    np.testing.assert_allclose(state.groups[0], expected + 1, rtol=1e-6)


@pytest.mark.slow
def test_learners_may_have_batches_of_their_own():
    """By name or in order; those of one shape are vmapped."""
    batches = {
        "a": data.batches(SOURCE, 8, seed=1),
        "b": data.batches({k: x[:20] for k, x in SOURCE.items()}, 8, seed=2),
        "c": data.batches(SOURCE, 8, seed=3),
        "whole": data.batches(SOURCE, 8, seed=4, drop_remainder=True),  # No mask.
    }
    learners = dict.fromkeys(reversed(batches), sgd())
    together, _ = trained(*fdl.replicate(learners, batches))
    assert together.names == (("whole",), ("c", "b", "a"))
    for name, own in batches.items():
        alone, _ = trained(sgd(), own)
        chex.assert_trees_all_close(
            alone.params, select(together, name).params, rtol=1e-5, atol=1e-6
        )


def test_variables_lie_side_by_side_and_are_evaluated_each_by_its_own_function():
    coin = fdl.monte_carlo(lambda key: {"x": jax.random.normal(key)})
    learner, _ = fdl.replicate({**LEARNERS, "coin": coin}, BATCHES)
    state = jax.jit(learner.init)(jax.random.key(0))
    variables = learner.variables(state)
    assert {*variables["params"]} == {*LEARNERS, "coin"}
    assert {*variables["estimates"]} == {"coin"}
    expected = {}
    for name, one in LEARNERS.items():
        own = one.variables(select(state, name))
        chex.assert_trees_all_equal(select_variables(variables, name), own)
        expected |= {f"{name}/{metric}": x for metric, x in EVALUATE(own).items()}
    found = fdl.evaluate_each(dict.fromkeys(LEARNERS, EVALUATE))(variables)
    assert found == expected and [*found] == [*expected]
    assert found["small/loss"] != found["large/loss"]


def test_evaluations_of_a_sequence_are_lists():
    learner, _ = fdl.replicate([*LEARNERS.values()], BATCHES)
    variables = learner.variables(jax.jit(learner.init)(jax.random.key(0)))
    found = fdl.evaluate_each([EVALUATE] * 3)(variables)
    each = [EVALUATE(select_variables(variables, i)) for i in range(3)]
    assert found == join_metrics(each, list)
    assert found["loss"] == [values["loss"] for values in each]


def test_only_the_axis_of_the_replicas_is_not_sharded():
    spec = {"env": PartitionSpec("data"), "params": PartitionSpec()}
    one = Learner(
        lambda key: {"env": jnp.zeros(4), "params": jnp.zeros(2)},
        lambda state, batch: (state, {}),
        partition=spec,
    )
    other = with_constant(2.0)
    learner, _ = fdl.replicate({"a": one, "b": other, "c": one}, data.no_data())
    stacked, single = learner.partition.groups
    assert stacked == {
        "env": PartitionSpec(None, "data"),
        "params": PartitionSpec(None),
    }
    assert single == other.partition
    assert learner.partition.names == (("a", "c"), ("b",))


def test_what_learners_leave_out_of_a_checkpoint_is_made_anew_for_each():
    def init(key):
        return {"weight": jax.random.normal(key), "memory": jnp.zeros(2)}

    def revive(part, key):
        return {**part, "memory": jnp.full(2, part["weight"]) + jax.random.uniform(key)}

    forgetful = Learner(
        init,
        lambda state, batch: (state, {"loss": state["weight"]}),
        persist=lambda state: {"weight": state["weight"]},
        revive=revive,
    )
    learners = {"a": forgetful, "b": with_constant(2.0), "c": forgetful}
    learner, _ = fdl.replicate(learners, data.no_data())
    keys = jax.random.split(jax.random.key(0), 3)
    state = learner.init(keys)
    part = learner.persist(state)
    assert {*select(part, "c")} == {"weight"}
    revived = learner.revive(part, keys)
    for i, name in enumerate("abc"):
        expected = select(state, name)
        if name != "b":
            expected = revive(forgetful.persist(expected), keys[i])
        chex.assert_trees_all_close(select(revived, name), expected, rtol=1e-6)


def test_replicas_of_replicas_are_replicas():
    """Seeds of a comparison."""
    two = {name: LEARNERS[name] for name in ("small", "adam")}
    comparison, _ = fdl.replicate(two, BATCHES)
    seeds, batches = fdl.replicate([comparison] * 2, [BATCHES] * 2)
    keys = jax.vmap(jax.random.key)(jnp.arange(2))
    state = jax.jit(seeds.init)(keys)
    item = next(batches.stream(0))
    state, metrics = jax.jit(seeds.step)(state, batches.take(batches.data, item))
    assert metrics["adam/loss"].compute().shape == (2,)
    assert {*seeds.variables(state)["params"]["1"]} == {*two}
    assert select(select(state, 1), "small").step == 1


@pytest.mark.parametrize(
    "make", [lambda x: fdl.replicate(x, BATCHES), fdl.evaluate_each]
)
@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_learner_has_a_name_that_metrics_can_stand_behind(make, name):
    with pytest.raises(UserError, match=f"learner '{name}': expected a name"):
        make({name: sgd()})
    for nothing in ({}, []):
        with pytest.raises(UserError, match="expected at least one learner"):
            make(nothing)


def test_mistakes_are_one_clear_line():
    learner, _ = fdl.replicate(LEARNERS, BATCHES)
    state = jax.jit(learner.init)(jax.random.key(0))
    with pytest.raises(UserError, match=r"no learner 'adan'\. Did you mean 'adam'\?"):
        select(state, "adan")
    with pytest.raises(UserError, match=r"no model 'adan'\. Did you mean 'adam'\?"):
        fdl.evaluate_each({"adan": EVALUATE})(learner.variables(state))
    with pytest.raises(UserError, match="2 keys: expected 3, one for each learner"):
        learner.init(jax.random.split(jax.random.key(0)))
    with pytest.raises(UserError, match="batches of 2 learners: expected 3"):
        fdl.replicate(LEARNERS, [BATCHES] * 2)
    with pytest.raises(
        UserError, match=r"batches of a: expected those of .* small, ad"
    ):
        fdl.replicate(LEARNERS, {"a": BATCHES})
