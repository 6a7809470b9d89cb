"""Averages of the variables, held to their formulas in NumPy float64."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import optim
from fdl.errors import UserError

WEIGHTS = np.random.default_rng(0).normal(size=(12, 4))


def averages(**options):
    """Average after each of the steps that had the weights `WEIGHTS`."""
    average = optim.chain("sgd", 0.1, num_steps=12, **options).average
    state = average.init({"params": jnp.ones(4), "batch_stats": jnp.ones(4)})
    seen = []
    for weights in jnp.asarray(WEIGHTS, jnp.float32):
        variables = {"params": weights, "batch_stats": 2 * weights, "cache": weights}
        state = jax.jit(average.update)(state, variables)
        assert {*state.variables} == {"params", "batch_stats"}
        seen.append(np.asarray(state.variables["params"]))
        doubled = state.variables["batch_stats"]
        np.testing.assert_allclose(doubled, 2 * seen[-1], rtol=1e-6)
    return np.stack(seen)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.9999])
def test_a_moving_average_weighs_all_that_it_has_seen(decay):
    for t, average in enumerate(averages(ema=decay)):
        weights = decay ** np.arange(t, -1, -1.0)
        expected = weights @ WEIGHTS[: t + 1] / weights.sum()
        np.testing.assert_allclose(average, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("start, every", [(1, 1), (5, 1), (4, 3), (0.5, 2)])
def test_a_stochastic_average_is_the_mean_at_regular_steps(start, every):
    first = round(12 * start) if start < 1 else start
    for step, average in enumerate(averages(swa=start, swa_every=every), 1):
        counted = WEIGHTS[first - 1 : step : every]
        counted = counted if step > first else WEIGHTS[[step - 1]]
        np.testing.assert_allclose(average, counted.mean(0), rtol=1e-5, atol=1e-6)


def test_a_stochastic_average_ends_as_the_mean_of_the_last_checkpoints():
    """Of one every quarter of the steps the last three."""
    last = averages(swa=0.5, swa_every=0.25)[-1]
    np.testing.assert_allclose(last, WEIGHTS[[5, 8, 11]].mean(0), rtol=1e-5)


def test_small_shares_are_not_lost_in_half_precision():
    average = optim.stochastic_average(1)
    state = average.init({"params": jnp.zeros(3, jnp.bfloat16)})

    @jax.jit
    def run(state):
        def step(i, state):
            weights = jnp.full(3, i % 2, jnp.bfloat16)
            return average.update(state, {"params": weights})

        return jax.lax.fori_loop(0, 1000, step, state)

    after = run(state)
    chex.assert_trees_all_equal_dtypes(after, state)
    np.testing.assert_allclose(after.variables["params"], 0.5, rtol=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"ema": 1.0}, "ema=1.0: expected a decay"),
        ({"ema": 0.9, "swa": 3}, "ema=0.9 and swa=3: expected one average"),
        ({"swa": 0}, "swa=0: expected at least 1"),
        ({"swa": 13}, "swa=13: expected at most num_steps=12"),
        ({"swa": 1, "swa_every": 0}, "swa_every=0"),
    ],
)
def test_averages_that_make_no_sense_are_errors(options, message):
    with pytest.raises(UserError, match=message):
        optim.chain(num_steps=12, **options)
