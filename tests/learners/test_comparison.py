"""Learners side by side: each learns what it would alone, from the same batches."""

import chex
import jax
import numpy as np
import optax
import pytest

import fdl
from fdl import data, models, objectives, train
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
SOURCE = {
    "features": RANDOM.normal(size=(30, 5)).astype(np.float32),
    "label": RANDOM.integers(3, size=30).astype(np.int32),
}
BATCHES = data.batches(SOURCE, 8, seed=3)
MODEL = models.functional(models.MLP((8,), 3, dropout=0.5), SOURCE["features"][:1])
OBJECTIVE = objectives.classification(MODEL, inputs="features")
LEARNERS = {
    "sgd": fdl.gradient_learner(MODEL, OBJECTIVE, optax.sgd(0.1)),
    "adam": fdl.gradient_learner(MODEL, OBJECTIVE, optax.adam(0.01)),
}
TESTING = data.batches(SOURCE, 30, shuffle=False)
EVALUATE = fdl.on_dataset(OBJECTIVE, TESTING)


def logged(learner, **how):
    rows = []
    state = train.run(
        learner,
        BATCHES,
        num_steps=9,
        seed=5,
        log_every=3,
        log=lambda step, values: rows.append(values),
        **how,
    )
    return state, rows


@pytest.mark.parametrize("steps_per_call", [1, 3])
def test_a_learner_learns_number_for_number_what_it_learns_alone(steps_per_call):
    together, rows = logged(
        fdl.compare_learners(LEARNERS), steps_per_call=steps_per_call
    )
    assert together.step == 9
    for name, learner in LEARNERS.items():
        alone, expected = logged(learner, steps_per_call=steps_per_call)
        compared = together.states[name]
        chex.assert_trees_all_close(alone.params, compared.params, rtol=1e-6)
        chex.assert_trees_all_equal(
            *(jax.random.key_data(state.key) for state in (alone, compared))
        )
        for row, other in zip(rows, expected, strict=True):
            of_learner = {k: v for k, v in row.items() if k.startswith(f"{name}/")}
            assert of_learner == {
                f"{name}/{k}": pytest.approx(v, rel=1e-5) for k, v in other.items()
            }


def test_learners_are_evaluated_each_by_its_own_function_in_the_order_given():
    state, _ = logged(fdl.compare_learners(LEARNERS))
    evaluate = fdl.evaluate_each({"sgd": EVALUATE, "adam": EVALUATE})
    expected = {
        f"{name}/{metric}": value
        for name in ("sgd", "adam")
        for metric, value in EVALUATE(state.states[name]).items()
    }
    found = evaluate(state)
    assert found == expected and list(found) == list(expected)
    assert found["sgd/loss"] != found["adam/loss"]


def test_the_parameters_are_those_of_the_learners_that_have_some():
    coin = fdl.monte_carlo(
        lambda key: {"x": fdl.types.Mean(jax.random.normal(key), 1.0)}
    )
    state = fdl.compare_learners({**LEARNERS, "coin": coin}).init(jax.random.key(0))
    chex.assert_trees_all_equal(
        state.params, {name: state.states[name].params for name in LEARNERS}
    )


@pytest.mark.parametrize("make", [fdl.compare_learners, fdl.evaluate_each])
@pytest.mark.parametrize("name", ["", "a/b"])
def test_a_learner_has_a_name_that_metrics_can_stand_behind(make, name):
    with pytest.raises(UserError, match=f"learner '{name}': expected a name"):
        make({name: LEARNERS["sgd"]})
    with pytest.raises(UserError, match="expected at least one learner"):
        make({})


def test_only_arms_that_are_there_can_be_evaluated():
    state = fdl.compare_learners(LEARNERS).init(jax.random.key(0))
    with pytest.raises(UserError, match=r"no learner 'adan' .* mean 'adam'\?"):
        fdl.evaluate_each({"adan": EVALUATE})(state)
