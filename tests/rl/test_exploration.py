import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.envs import box, discrete
from fdl.errors import UserError
from fdl.rl import deterministic, epsilon_greedy, gaussian_noise, noisy
from fdl.rl.exploration.noise import random_actions
from fdl.types import Model

KEY = jax.random.key(0)
VALUES = Model(lambda key: {}, lambda variables, x, key=None: (x, {}))


def test_epsilon_greedy_takes_the_best_but_for_a_share_of_all():
    values = jnp.tile(jnp.array([[0.0, 2.0, 1.0, 1.0]]), (8000, 1))
    act = jax.jit(lambda epsilon: epsilon_greedy(VALUES, epsilon)({}, values, KEY))
    assert (act(0.0) == 1).all()
    shares = np.bincount(act(0.4), minlength=4) / 8000
    np.testing.assert_allclose(shares, [0.1, 0.7, 0.1, 0.1], atol=0.02)


def test_a_noisy_network_draws_noise_for_each_observation():
    model = Model(
        lambda key: {},
        lambda variables, x, key: (x + jax.random.normal(key, x.shape), {}),
    )
    values = jnp.tile(jnp.array([[0.0, 1.0]]), (4000, 1))
    actions = np.asarray(jax.jit(noisy(model))({}, values, KEY))
    # The difference has a mean of one and a variance of two.
    np.testing.assert_allclose(actions.mean(), 0.7602, atol=0.03)


@pytest.mark.parametrize("explore", [lambda model: epsilon_greedy(model, 0.1), noisy])
def test_quantiles_are_no_values_to_choose_by(explore):
    quantiles = jnp.zeros((2, 3, 5))
    with pytest.raises(
        UserError, match=r"values \[., 3, 5\]: expected \[N, A\]; rl.map"
    ):
        jax.eval_shape(explore(VALUES), {}, quantiles, KEY)


def test_gaussian_noise_is_of_half_the_range_and_stays_within_it():
    spec = box((2,), [-2.0, 0.0], [2.0, 1.0])
    means = jnp.tile(jnp.array([[0.0, 0.9]]), (4000, 1))
    policy = gaussian_noise(deterministic(VALUES), spec, 0.1)
    actions = np.asarray(jax.jit(policy)({}, means, KEY))
    np.testing.assert_allclose(actions[:, 0].std(), 0.2, rtol=0.05)
    assert actions[:, 1].max() == 1 and actions[:, 1].min() > 0.6
    with pytest.raises(UserError, match="num_values=3: expected continuous"):
        gaussian_noise(policy, discrete(3), 0.1)


def test_random_actions_are_uniform_within_their_bounds():
    of = random_actions(discrete((2, 3)), 3000, KEY)
    assert of.dtype == jnp.int32
    for column, size in zip(np.asarray(of).T, (2, 3), strict=True):
        shares = np.bincount(column, minlength=size) / 3000
        np.testing.assert_allclose(shares, np.full(size, 1 / size), atol=0.04)
    real = np.asarray(random_actions(box((1,), -2.0, 1.0), 3000, KEY))
    assert -2 <= real.min() < -1.9 and 0.9 < real.max() < 1
    with pytest.raises(UserError, match="has no bounds"):
        random_actions(box((1,)), 3, KEY)


def test_a_network_without_noise_does_not_explore_by_it():
    network = models.functional(models.QNetwork(2))
    with pytest.raises(UserError, match="noisy=False: expected a network with noise"):
        noisy(network)


@pytest.mark.parametrize("epsilon", [-0.1, 3.0, float("nan")])
def test_probabilities_to_explore_are_from_0_to_1(epsilon):
    with pytest.raises(UserError, match=f"epsilon={epsilon}: expected"):
        epsilon_greedy(VALUES, epsilon)
