"""Exploration bonuses against NumPy, and what the learners do with them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fdl import envs, rl
from fdl.errors import UserError
from fdl.types import Model

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
SPEC = envs.box((3,))
LINEAR = Model(
    lambda key: {"params": jax.random.normal(key, (3, 2))},
    lambda variables, x, key=None, train=False: (x @ variables["params"], {}),
)


def test_counts_are_those_of_numpy():
    bonus = rl.count_bonus(lambda x: x, 6, scale=0.5)
    seen = RNG.integers(5, size=(3, 40))  # The last cell is never seen.
    state = bonus.init(KEY)
    update = jax.jit(bonus.update)
    for batch in seen:
        state = update(state, batch, KEY)
    counts = np.bincount(seen.ravel(), minlength=6)
    np.testing.assert_array_equal(state, counts)
    expected = 0.5 / np.sqrt(np.maximum(counts, 1))
    np.testing.assert_allclose(bonus.reward(state, jnp.arange(6)), expected, rtol=1e-6)


def test_cells_are_those_of_a_histogram():
    spec = envs.box((2,), [-1.2, -0.07], [0.6, 0.07])
    x = RNG.uniform(spec.minimum, spec.maximum, size=(500, 2)).astype(np.float32)
    cells = jax.jit(rl.grid_cells(spec, (4, 7)))
    expected, *_ = np.histogram2d(
        *x.T, bins=(4, 7), range=list(zip(spec.minimum, spec.maximum, strict=True))
    )
    counts = np.bincount(cells(x), minlength=28).reshape(4, 7)
    np.testing.assert_array_equal(counts, expected)
    edges = jnp.array([[0.6, 0.07], [9.0, -9.0], [jnp.inf, -jnp.inf]])
    assert cells(edges).tolist() == [27, 21, 21]


@pytest.mark.parametrize(
    "spec, num_bins, message",
    [
        (envs.box((2,), -1, 1), (2, 2, 2), "num_bins=(2, 2, 2): expected 2 numbers"),
        (envs.box((2,), -1, 1), 0, "num_bins=0: expected at least 1"),
        (
            envs.box((1,)),
            2,
            "observation [1] from [-inf] to [inf]: expected a vector with finite "
            "bounds",
        ),
        (
            envs.discrete(3),
            2,
            "observation [] from 0.0 to 2.0: expected a vector with finite bounds",
        ),
    ],
)
def test_a_grid_needs_bounds(spec, num_bins, message):
    with pytest.raises(UserError) as raised:
        rl.grid_cells(spec, num_bins)
    assert str(raised.value) == message


def distillation(**options):
    optimizer = optax.sgd(0.1)
    return rl.random_network_distillation(LINEAR, SPEC, optimizer, scale=2.0, **options)


def test_distillation_is_that_of_numpy():
    """Two rollouts, one minibatch each: its statistics, its steps and its bonus."""
    bonus = distillation()
    state = jax.jit(bonus.init)(KEY)
    target, params = np.float64(state.target), np.float64(state.train.params)
    assert not np.allclose(target, params)
    rollouts = [RNG.normal(2.0, 3.0, size=(8, 3)), RNG.normal(size=(16, 3))]
    seen, errors = np.zeros((0, 3)), []

    def normalised(x):
        return np.clip((x - seen.mean(0)) / np.sqrt(seen.var(0) + 1e-8), -5, 5)

    for rollout in rollouts:
        state = jax.jit(bonus.update)(state, jnp.float32(rollout), KEY)
        seen = np.concatenate([seen, rollout])
        x = normalised(rollout)
        residual = x @ (params - target)  # [B, 2]
        params = params - 0.1 * 2 * x.T @ residual / residual.size
        errors.append(np.square(x @ (params - target)).mean(axis=1))
    np.testing.assert_allclose(state.target, target)
    np.testing.assert_allclose(state.train.params, params, rtol=1e-4)
    std = np.std(np.concatenate(errors))
    new = RNG.normal(5.0, 9.0, size=(4, 3))
    expected = 2 * np.square(normalised(new) @ (params - target)).mean(axis=1) / std
    actual = jax.jit(bonus.reward)(state, jnp.float32(new))
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_what_was_learnt_is_worth_less_than_what_is_new():
    bonus = distillation(num_minibatches=4)
    state = jax.jit(bonus.init)(KEY)
    known = jnp.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])[RNG.integers(2, size=32)]
    known = known + 0.1 * RNG.normal(size=known.shape)

    @jax.jit
    def learn(state):
        return jax.lax.fori_loop(0, 50, lambda i, s: bonus.update(s, known, KEY), state)

    state = learn(state)
    new = jnp.array([[0.0, 0.0, 1.0]])
    reward = jax.jit(bonus.reward)
    assert reward(state, known).max() < 0.1 * reward(state, new)[0]


@pytest.mark.parametrize("num_minibatches", [0, 5])
def test_minibatches_divide_a_rollout(num_minibatches):
    message = f"num_minibatches={num_minibatches}: expected"
    with pytest.raises(UserError, match=message):
        bonus = distillation(num_minibatches=num_minibatches)
        seen = jax.ShapeDtypeStruct((8, 3), jnp.float32)
        jax.eval_shape(bonus.update, jax.eval_shape(bonus.init, KEY), seen, KEY)


def test_cells_that_there_are_not_count_as_the_nearest():
    bonus = rl.count_bonus(lambda x: x, 3)
    state = jax.jit(bonus.update)(bonus.init(KEY), jnp.array([5, 5, -1]), KEY)
    assert state.tolist() == [1, 0, 2]
    np.testing.assert_allclose(bonus.reward(state, jnp.array([7, -4])), [0.5**0.5, 1])
