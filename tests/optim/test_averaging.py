import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fdl import optim
from fdl.errors import UserError
from fdl.types import TrainState

GRADIENTS = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)


def visited(**options):
    """The weights after each step, and the average that is in use then."""
    optimizer = optim.chain("sgd", 0.1, num_steps=12, **options)
    weights = jnp.ones(4)
    state = optimizer.init(weights)

    @jax.jit
    def step(weights, state, gradient):
        updates, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, updates), state

    seen, averages = [], []
    for gradient in GRADIENTS:
        weights, state = step(weights, state, jnp.asarray(gradient))
        seen.append(np.asarray(weights, np.float64))
        train_state = TrainState(None, None, weights, {}, state)
        averages.append(optim.averaged(train_state).params)
    return np.stack(seen), np.stack(averages)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.9999])
def test_a_moving_average_weighs_what_it_has_seen(decay):
    seen, averages = visited(ema=decay)
    for t, average in enumerate(averages):
        weights = decay ** np.arange(t, -1, -1.0)
        expected = weights @ seen[: t + 1] / weights.sum()
        np.testing.assert_allclose(average, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("start, every", [(1, 1), (5, 1), (4, 3), (0.5, 2)])
def test_a_stochastic_average_is_the_mean_of_the_weights_that_count(start, every):
    seen, averages = visited(swa=start, swa_every=every)
    first = round(12 * start) if start < 1 else start
    for step, average in enumerate(averages, 1):
        counted = seen[first - 1 : step : every] if step > first else seen[[step - 1]]
        np.testing.assert_allclose(average, counted.mean(0), rtol=1e-5, atol=1e-6)


def test_small_shares_are_not_lost_in_low_precision():
    optimizer = optim.chain("sgd", 1.0, num_steps=1000, swa=1)
    weights = jnp.zeros(3, jnp.bfloat16)
    state, update = optimizer.init(weights), jax.jit(optimizer.update)
    for step in range(1000):
        grads = jnp.full(3, 1 if step % 2 else -1, jnp.bfloat16)
        updates, after = update(grads, state, weights)
        chex.assert_trees_all_equal_dtypes(after, state)
        weights, state = optax.apply_updates(weights, updates), after
    average = optim.averaged(TrainState(None, None, weights, {}, state)).params
    assert average.dtype == jnp.bfloat16
    np.testing.assert_allclose(average.astype(jnp.float32), 0.5, rtol=1e-2)


def test_averages_change_nothing():
    plain, same = visited()
    np.testing.assert_array_equal(plain.astype(np.float32), same)
    np.testing.assert_array_equal(visited(ema=0.9)[0], plain)
    np.testing.assert_array_equal(visited(swa=3)[0], plain)


def test_a_schedule_free_optimizer_is_used_at_its_average():
    # With equal rates, the average is the plain mean of the sequence z.
    optimizer = optim.chain("schedule_free_sgd", 0.1, num_steps=12)
    weights, z, seen = jnp.ones(4), np.ones(4), []
    state = optimizer.init(weights)
    for gradient in GRADIENTS:
        updates, state = jax.jit(optimizer.update)(gradient, state, weights)
        weights = optax.apply_updates(weights, updates)
        z = z - 0.1 * gradient.astype(np.float64)
        seen.append(z)
    train_state = TrainState(None, None, weights, {}, state)
    actual = optim.averaged(train_state).params
    np.testing.assert_allclose(actual, np.mean(seen, axis=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"ema": 0.9}, {"swa": 2}, {"name": "schedule_free_sgd"}],
    ids=str,
)
def test_what_is_frozen_is_its_own_average(options):
    weights = {"body": jnp.ones(2), "head": jnp.zeros(3)}
    options = {"name": "sgd", "freeze": "body", **options}
    optimizer = optim.chain(**options, num_steps=5)
    state = optimizer.init(weights)
    for _ in range(4):
        updates, state = jax.jit(optimizer.update)(weights, state, weights)
        weights = jax.tree.map(lambda w, u: w + u - 1, weights, updates)
    averages = optim.averaged(TrainState(None, None, weights, {}, state)).params
    np.testing.assert_array_equal(averages["body"], weights["body"])
    assert (averages["head"] != weights["head"]).all()


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
