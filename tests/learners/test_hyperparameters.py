"""Traced hyperparameters: one program for learners that differ in numbers."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import data, models, objectives, optim, train
from fdl.errors import UserError
from fdl.learners import select
from fdl.types import Learner

RANDOM = np.random.default_rng(0)
SOURCE = {
    "features": RANDOM.normal(size=(24, 5)).astype(np.float32),
    "label": RANDOM.integers(3, size=24).astype(np.int32),
}
BATCHES = data.batches(SOURCE, 8, seed=3)
MODEL = models.functional(models.MLP((4,), 3, dropout=0.5), SOURCE["features"][:1])
OBJECTIVE = objectives.classification(MODEL, inputs="features")


def maker(**options):
    """Function of hyperparameters, and the list of those that it was called with."""
    calls = []

    def make(**values):
        calls.append(values)
        optimizer = optim.chain(**{"num_steps": 6, **options, **values})
        return fdl.gradient_learner(MODEL, OBJECTIVE, optimizer)

    return make, calls


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, values",
    [
        ({"name": "sgd"}, {"learning_rate": (0.1, 0.01, 1.0)}),
        slow(
            {"name": "adam", "schedule": "cosine", "warmup": 2},
            {"learning_rate": (0.1, 0.01, 1.0), "b1": (0.9, 0.5, 0.0)},
        ),
        slow({"name": "adamw"}, {"weight_decay": (0.0, 0.1, 1.0)}),
        slow(
            {"name": "sgd"},
            {"weight_decay": (0.0, 0.1, 1.0), "momentum": (0.9, 0, 0.5)},
        ),
        slow(
            {"name": "sgd"},
            {"l2": (0.01, 0.1, 1.0), "clip_by_global_norm": (0.1, 10.0, 1.0)},
        ),
    ],
)
def test_learners_of_other_numbers_are_one_program_with_the_numbers_of_each(
    options, values
):
    make, calls = maker(**options)
    traced = fdl.inject_hyperparameters(make)
    arms = [{name: values[name][i] for name in values} for i in range(3)]
    learner, batches = fdl.replicate([traced(**arm) for arm in arms], BATCHES)
    rows = []
    together = train.run(
        learner, batches, num_steps=6, log=lambda step, values: rows.append(values)
    )
    assert together.names == (("0", "1", "2"),)
    assert len(calls) == 3 + 2  # Once for each arm, for one `init` and one `step`.
    for i, arm in enumerate(arms):
        alone = train.run(make(**arm), BATCHES, num_steps=6)
        found = select(together, i).inner
        chex.assert_trees_all_close(alone.params, found.params, rtol=1e-5, atol=1e-6)
        variables = learner.variables(together)["params"][str(i)]
        chex.assert_trees_all_equal(variables, found.params)
    if "learning_rate" in values and "schedule" not in options:
        logged = rows[-1]["learning_rate"]
        np.testing.assert_allclose(logged, values["learning_rate"], rtol=1e-6)


def test_a_description_has_the_numbers_of_each():
    make, _ = maker(name="adamw")
    learner = fdl.inject_hyperparameters(make)(learning_rate=0.1, weight_decay=0.01)
    params = jax.jit(MODEL.init)(jax.random.key(0))["params"]
    rows = optim.describe(learner.optimizer, params)
    assert [text for text, _ in rows] == [
        "adamw",
        "weight_decay 0.01",
        "learning rate constant: 0.1",
    ]


def test_a_state_in_half_precision_stays_one():
    ones = jnp.ones(3, jnp.bfloat16)

    def make(learning_rate, b1):
        optimizer = optax.adam(learning_rate, b1)

        def step(state, batch):
            updates, opt_state = optimizer.update(ones, state[1])
            return (optax.apply_updates(state[0], updates), opt_state), {}

        return Learner(lambda key: (ones, optimizer.init(ones)), step)

    learner = fdl.inject_hyperparameters(make)(learning_rate=0.1, b1=0.5)
    state = learner.init(jax.random.key(0))
    after, _ = learner.step(state, None)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)
    np.testing.assert_allclose(after.inner[0].astype(float), 0.9, rtol=1e-2)


def test_a_checkpoint_leaves_out_what_the_learner_leaves_out():
    def make(scale):
        return Learner(
            lambda key: {"a": jnp.ones(()) * scale, "b": jnp.zeros(())},
            lambda state, batch: (state, {}),
            persist=lambda state: {"a": state["a"]},
            revive=lambda part, key: {**part, "b": jnp.ones(())},
        )

    learner = fdl.inject_hyperparameters(make)(scale=2.0)
    part = learner.persist(learner.init(jax.random.key(0)))
    assert part.inner == {"a": 2.0} and part.hyperparameters == {"scale": 2.0}
    assert learner.revive(part, jax.random.key(0)).inner == {"a": 2.0, "b": 1.0}


@pytest.mark.parametrize("value", [None, "0.1", True, (0.1,)])
def test_a_hyperparameter_is_a_number(value):
    make, _ = maker()
    with pytest.raises(UserError, match=r"learning_rate=.*: expected a number"):
        fdl.inject_hyperparameters(make)(learning_rate=value)


def test_a_number_that_has_to_be_known_cannot_be_traced():
    make, _ = maker()
    learner = fdl.inject_hyperparameters(make)(sam=0.1)
    with pytest.raises(UserError, match="sam: expected numbers that are only computed"):
        learner.init(jax.random.key(0))


def test_known_numbers_are_checked():
    make, _ = maker()
    with pytest.raises(UserError, match="learning_rate=-1: expected a positive"):
        fdl.inject_hyperparameters(make)(learning_rate=-1)
