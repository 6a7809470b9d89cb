"""Averaged weights are evaluated with the batch statistics that are theirs."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl import data, models, objectives, optim
from fdl.errors import UserError
from fdl.learners import fresh_statistics, refresh_statistics

NUM = 48
X = np.random.default_rng(0).normal(3.0, 2.0, (NUM, 6)).astype(np.float32)
SOURCE = {"image": X, "label": (X[:, 0] > 3).astype(np.int32)}
BATCHES = data.batches(SOURCE, 12)
MODEL = models.functional(models.MLP((8,), 2, norm=nn.BatchNorm), jnp.zeros((1, 6)))
OBJECTIVE = objectives.classification(MODEL)


def trained(statistics=None, num_steps=40, **options):
    optimizer = optim.chain(
        **{"name": "adam", "learning_rate": 0.05, "num_steps": num_steps, **options}
    )
    learner = fdl.gradient_learner(MODEL, OBJECTIVE, optimizer, statistics=statistics)
    state = fdl.train.run(learner, BATCHES, num_steps=num_steps, steps_per_call=20)
    return learner, state


def fresh(variables):
    return refresh_statistics(MODEL, variables, BATCHES)


def exact_statistics(variables):
    """Means over batches of the mean and the variance of the first layer's outputs."""
    dense = jax.tree.map(np.asarray, variables["params"]["dense_0"])
    rows, items = [], BATCHES.stream(0)
    for _ in range(4):
        x = X[next(items)["index"]].astype(np.float64)
        rows.append(x @ dense["kernel"] + dense["bias"])
    return np.mean([(r.mean(0), r.var(0)) for r in rows], axis=0)


@pytest.fixture(scope="module")
def plain():
    return trained()


def test_fresh_statistics_are_means_over_batches(plain):
    learner, state = plain
    variables = learner.variables(state)
    norm = fresh(variables)["batch_stats"]["norm_0"]
    expected = exact_statistics(variables)
    np.testing.assert_allclose(norm["mean"], expected[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm["var"], expected[1], rtol=1e-3)


def test_statistics_of_a_moving_average_are_averaged_with_the_weights():
    learner, state = trained(ema=0.5, num_steps=4)
    variables = learner.variables(state)
    assert {*state.average.variables} == {"params", "batch_stats"}
    for collection, tree in state.average.variables.items():
        jax.tree.map(np.testing.assert_array_equal, tree, variables[collection])
    now = state.train_variables["batch_stats"]["norm_0"]["mean"]
    assert (variables["batch_stats"]["norm_0"]["mean"] != now).all()


@pytest.mark.parametrize(
    "options",
    [{"swa": 2}, pytest.param({"name": "schedule_free_adamw"}, marks=pytest.mark.slow)],
    ids=str,
)
def test_other_averages_have_their_statistics_computed_anew(options):
    learner, state = trained(fresh, **options)
    variables = learner.variables(state)
    norm = variables["batch_stats"]["norm_0"]
    np.testing.assert_allclose(
        norm["mean"], exact_statistics(variables)[0], rtol=1e-4, atol=1e-5
    )
    held_out = data.batches(SOURCE, NUM, shuffle=False)
    assert fdl.on_dataset(OBJECTIVE, held_out)(variables)["accuracy"] > 0.9
    alone, state = trained(**options)
    with pytest.raises(UserError, match="statistics=None: expected a function"):
        alone.variables(state)


def test_a_schedule_free_optimizer_is_evaluated_at_its_average():
    # With equal rates, the average is the plain mean of the sequence z.
    gradients = np.random.default_rng(0).normal(size=(12, 4))
    optimizer = optim.chain("schedule_free_sgd", 0.1, num_steps=12)
    weights, z, seen = jnp.ones(4), np.ones(4), []
    state, update = optimizer.init(weights), jax.jit(optimizer.update)
    for gradient in gradients:
        updates, state = update(jnp.asarray(gradient, jnp.float32), state, weights)
        weights = weights + updates
        z = z - 0.1 * gradient
        seen.append(z)
    average = optimizer.averaged_params(state, weights)
    np.testing.assert_allclose(average, np.mean(seen, axis=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"ema": 0.9}, pytest.param({"name": "schedule_free_sgd"}, marks=pytest.mark.slow)],
)
def test_what_is_frozen_is_its_own_average(options):
    learner, state = trained(
        fresh, num_steps=5, freeze="head", **{"learning_rate": 0.1, **options}
    )
    evaluated = learner.variables(state)["params"]
    np.testing.assert_allclose(
        evaluated["head"]["kernel"], state.params["head"]["kernel"], rtol=1e-6
    )
    assert (evaluated["dense_0"]["kernel"] != state.params["dense_0"]["kernel"]).any()


@pytest.mark.parametrize(
    "options",
    [pytest.param({"swa": 2}, marks=pytest.mark.slow), {"name": "schedule_free_sgd"}],
)
def test_frozen_statistics_are_not_computed_anew(options):
    learner, state = trained(fresh, num_steps=5, freeze="norm_0", **options)
    evaluated = learner.variables(state)["batch_stats"]["norm_0"]
    first = jax.jit(learner.init)(jax.random.key(0)).model_state["batch_stats"]
    jax.tree.map(np.testing.assert_array_equal, evaluated, first["norm_0"])


def test_statistics_are_compiled_once():
    refresh, traces = fresh_statistics(MODEL, BATCHES, inputs=counted_image), TRACES
    variables = jax.jit(MODEL.init)(jax.random.key(0))
    first, second = refresh(variables), refresh(variables)
    jax.tree.map(np.testing.assert_array_equal, first, second)
    assert len(traces) == 1


TRACES = []


def counted_image(batch):
    TRACES.append(1)
    return batch["image"]


def test_an_average_changes_nothing_of_the_training():
    # SGD: where the true gradient is zero, Adam turns rounding into steps.
    ends = [trained(name="sgd", num_steps=5, **how)[1] for how in ({}, {"ema": 0.9})]
    plain, averaged = (end.train_variables for end in ends)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), plain, averaged)
