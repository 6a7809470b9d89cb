"""Learners that measure: metrics of all steps together, a new key for each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl import data, train
from fdl.types import Mean


def measure(key):
    """Numbers with weights, both by chance."""
    value, weight = jax.random.uniform(key, (2,))
    return {"uniform": Mean(value * weight, weight)}


@pytest.mark.parametrize("steps_per_call", [1, 4])
def test_what_is_measured_is_the_mean_over_all_steps_by_their_weights(steps_per_call):
    state = train.run(
        fdl.monte_carlo(measure),
        data.no_data(),
        num_steps=50,
        seed=7,
        steps_per_call=steps_per_call,
    )
    keys = [jax.random.fold_in(jax.random.key(7), step) for step in range(50)]
    values, weights = np.array([jax.random.uniform(key, (2,)) for key in keys]).T
    expected = (values * weights).sum() / weights.sum()
    assert fdl.monte_carlo_estimates(state.variables) == {
        "uniform": pytest.approx(expected, rel=1e-5)
    }
    assert len(np.unique(values)) == 50


def test_a_step_reports_what_it_measured_itself():
    learner = fdl.monte_carlo(measure)
    state = learner.init(jax.random.key(1))
    state, first = learner.step(state, None)
    after, second = learner.step(state, None)
    total = first["uniform"].total + second["uniform"].total
    np.testing.assert_allclose(after.sums["uniform"].total, total)
    assert first["uniform"].total != second["uniform"].total


def test_batches_are_ignored():
    learner = fdl.monte_carlo(measure)
    state = learner.init(jax.random.key(1))
    with_one, _ = learner.step(state, {"x": jnp.ones(3)})
    without, _ = learner.step(state, None)
    found, expected = map(
        fdl.monte_carlo_estimates, (with_one.variables, without.variables)
    )
    assert found == expected
