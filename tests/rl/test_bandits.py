"""Bandit algorithms against their definitions in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import envs
from fdl.errors import UserError
from fdl.rl import bandits

RANDOM = np.random.default_rng(0)
ACTIONS = RANDOM.integers(3, size=20)
REWARDS = RANDOM.normal(2.0, size=20)


@functools.partial(jax.jit, static_argnums=0)
def states_of(bandit, actions, rewards):
    """Probabilities before each pull, and the last state."""

    def step(state, inputs):
        return bandit.update(state, *inputs), bandit.probability(state)

    return jax.lax.scan(step, bandit.init(3), (actions, rewards))


def probabilities(bandit):
    last, found = states_of(bandit, jnp.int32(ACTIONS), jnp.float32(REWARDS))
    return last, np.asarray(found)


def greedy(values):
    best = values == values.max()
    return best / best.sum()


@pytest.mark.parametrize("step_size", [None, 0.1])
def test_estimates_are_means_and_greedy_arms_the_best_of_them(step_size):
    bandit = bandits.epsilon_greedy(0.3, step_size=step_size, initial=5.0)
    last, found = probabilities(bandit)
    values, counts = np.full(3, 5.0), np.zeros(3)
    for t, (action, reward) in enumerate(zip(ACTIONS, REWARDS, strict=True)):
        np.testing.assert_allclose(found[t], 0.7 * greedy(values) + 0.1, rtol=1e-5)
        counts[action] += 1
        rate = step_size or 1 / counts[action]
        values[action] += rate * (reward - values[action])
    np.testing.assert_allclose(last.values, values, rtol=1e-5)
    if step_size is None:
        means = [REWARDS[arm == ACTIONS].mean() for arm in range(3)]
        np.testing.assert_allclose(last.values, means, rtol=1e-5)


def test_ucb_pulls_each_arm_and_then_the_one_of_the_highest_bound():
    _, found = probabilities(bandits.ucb(2.0))
    values, counts = np.zeros(3), np.zeros(3)
    for t, (action, reward) in enumerate(zip(ACTIONS, REWARDS, strict=True)):
        with np.errstate(divide="ignore", invalid="ignore"):
            bound = values + 2 * np.sqrt(np.log(t + 1) / counts)
        bound[counts == 0] = np.inf
        np.testing.assert_allclose(found[t], greedy(bound), rtol=1e-5)
        counts[action] += 1
        values[action] += (reward - values[action]) / counts[action]


@pytest.mark.parametrize("baseline", [True, False])
def test_the_gradient_bandit_ascends_the_expected_reward(baseline):
    last, found = probabilities(bandits.gradient(0.1, baseline=baseline))
    logits = np.zeros(3)
    for t, (action, reward) in enumerate(zip(ACTIONS, REWARDS, strict=True)):
        policy = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(found[t], policy, rtol=1e-4)
        mean = REWARDS[: t + 1].mean() if baseline else 0
        logits += 0.1 * (reward - mean) * (np.eye(3)[action] - policy)
    np.testing.assert_allclose(last.logits, logits, rtol=1e-4, atol=1e-6)


def test_what_is_pulled_is_paid_and_the_best_arm_is_told():
    env = envs.bandit(3)
    favourite = bandits.Bandit(
        init=jnp.zeros,
        probability=lambda state: jnp.eye(3)[1],
        update=lambda state, action, reward: state,
    )

    @jax.jit
    def pulled(key):
        arms, _ = env.reset(jax.random.split(key)[0])
        return arms.means, *bandits.pull(env, favourite, key, 400)

    means, rewards, best = pulled(jax.random.key(0))
    assert best.all() == best.any() == (means.argmax() == 1)
    assert abs(rewards.mean() - means[1]) < 0.2


def test_a_probability_above_one_is_one_line():
    with pytest.raises(UserError, match=r"epsilon=1\.5"):
        bandits.epsilon_greedy(1.5)
