import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.errors import UserError
from fdl.rl import (
    discounted_returns,
    gae,
    lambda_returns,
    n_step_returns,
    retrace,
    vtrace,
)

estimate = jax.jit(gae, static_argnames=("discount", "lambda_"))


def reference(rewards, values, next_values, terminated, truncated, discount, lambda_):
    """The definition: a discounted sum of TD errors within the episode."""
    advantages = np.zeros_like(rewards)
    for t in range(len(rewards)):
        weight = 1.0
        for u in range(t, len(rewards)):
            bootstrap = 0.0 if terminated[u] else next_values[u]
            advantages[t] += weight * (rewards[u] + discount * bootstrap - values[u])
            weight *= discount * lambda_
            if terminated[u] or truncated[u]:
                break
    return advantages


@pytest.mark.parametrize("lambda_", [0.0, 0.5, 1.0])
def test_gae_matches_its_definition(lambda_):
    rng = np.random.default_rng(0)
    rewards, values, next_values = rng.normal(size=(3, 12, 2, 3)).astype(np.float32)
    end = rng.integers(4, size=(12, 2, 3))
    args = rewards, values, next_values, end == 0, end == 1
    actual = estimate(*args, discount=0.9, lambda_=lambda_)
    for i, j in np.ndindex(2, 3):
        r, v, w, ended, cut = (x[:, i, j] for x in args)
        expected = reference(r, v, w, ended, cut, 0.9, lambda_)
        chex.assert_trees_all_close(actual[:, i, j], expected, atol=1e-5)


def test_gae_bootstraps_when_truncated_only():
    one, no, yes = jnp.ones(1), jnp.array([False]), jnp.array([True])
    ended = estimate(one, one, 10 * one, yes, no, discount=0.5, lambda_=0.9)
    cut = estimate(one, one, 10 * one, no, yes, discount=0.5, lambda_=0.9)
    chex.assert_trees_all_close((ended, cut), (jnp.zeros(1), 5 * one))


@pytest.mark.parametrize("kind", ["terminated", "truncated"])
def test_nothing_leaks_from_one_episode_into_the_one_before(kind):
    end = jnp.arange(6) == 2
    ends = (end, ~end & False) if kind == "terminated" else (~end & False, end)
    zero = jnp.zeros(6)
    before, after = (
        estimate(r, zero, zero, *ends, discount=0.9, lambda_=1.0)
        for r in (zero, zero.at[3:].set(100.0))
    )
    np.testing.assert_array_equal(before[:3], after[:3])
    assert (after[3:] >= 100).all()


def test_with_lambda_one_values_and_advantages_are_discounted_returns():
    rewards, values = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    end = np.arange(8) == 7
    next_values = np.append(values[1:], 0.0).astype(np.float32)
    actual = estimate(
        rewards, values, next_values, end, ~end & False, discount=0.9, lambda_=1.0
    )
    expected = [(0.9 ** np.arange(8 - t) * rewards[t:]).sum() for t in range(8)]
    chex.assert_trees_all_close(actual + values, np.array(expected), atol=1e-5)


def sequences(seed=0):
    """Rewards, values, next values, ends and log-ratios of random rollouts."""
    rng = np.random.default_rng(seed)
    reward, value, next_value, log_ratio = rng.normal(size=(4, 12, 6)).astype("f")
    end = rng.integers(5, size=(12, 6))
    within = end[:-1] > 1  # Where the next observation is that of the next row.
    next_value[:-1] = np.where(within, value[1:], next_value[:-1])
    return reward, value, next_value, end == 0, end == 1, log_ratio


def columns(arrays):
    """The arrays of each rollout alone, in double precision."""
    for i in range(arrays[0].shape[1]):
        yield [x[:, i].astype(np.float64 if x.dtype != bool else bool) for x in arrays]


def matches(actual, definition, arrays):
    expected = [
        [definition(t, *rollout) for t in range(12)] for rollout in columns(arrays)
    ]
    np.testing.assert_allclose(actual, np.transpose(expected), atol=2e-5)


def n_step(t, reward, next_value, terminated, truncated, *, num_steps, discount=0.9):
    """The definition: rewards until n steps, the episode or the rollout are over."""
    total = 0.0
    for k in range(num_steps):
        total += discount**k * reward[t + k]
        over = terminated[t + k] or truncated[t + k] or t + k == len(reward) - 1
        if over or k == num_steps - 1:
            rest = 0.0 if terminated[t + k] else next_value[t + k]
            return total + discount ** (k + 1) * rest


@pytest.mark.parametrize("num_steps", [1, 3, 12, 20])
def test_n_step_returns_match_their_definition(num_steps):
    reward, _, next_value, *ends, _ = sequences()
    arrays = reward, next_value, *ends
    actual = jax.jit(lambda *x: n_step_returns(*x, discount=0.9, num_steps=num_steps))(
        *arrays
    )
    matches(actual, functools.partial(n_step, num_steps=num_steps), arrays)


def test_discounted_returns_are_those_of_all_steps():
    reward, _, next_value, *ends, _ = sequences(1)
    arrays = reward, next_value, *ends
    actual = jax.jit(lambda *x: discounted_returns(*x, discount=0.9))(*arrays)
    matches(actual, functools.partial(n_step, num_steps=12), arrays)


def test_lambda_returns_are_means_of_n_step_returns():
    reward, value, next_value, *ends, _ = sequences(2)
    arrays = reward, next_value, *ends

    def mean_of_n_steps(t, reward, next_value, terminated, truncated):
        stops = terminated | truncated
        stops[-1] = True
        longest = 1 + np.argmax(stops[t:])
        weights = [0.2 * 0.8**n for n in range(longest - 1)]
        weights.append(1 - sum(weights))
        return sum(
            w * n_step(t, reward, next_value, terminated, truncated, num_steps=n + 1)
            for n, w in enumerate(weights)
        )

    options = {"discount": 0.9, "lambda_": 0.8}
    actual = jax.jit(lambda *x: lambda_returns(*x, **options))(*arrays)
    matches(actual, mean_of_n_steps, arrays)
    advantage = estimate(reward, value, next_value, *ends, **options)
    chex.assert_trees_all_close(actual, value + advantage, atol=1e-5)


def traced(rollout, t, first, other, *, shift):
    """The definition: a sum of TD errors, each times the weights up to it.

    The trace of V-trace begins with the weight of its own action, that of Retrace with
    the weight of the next one.
    """
    reward, value, next_value, terminated, truncated, log_ratio = rollout
    ratio = np.exp(log_ratio)
    total = value[t]
    for u in range(t, len(reward)):
        bootstrap = 0.0 if terminated[u] else next_value[u]
        delta = reward[u] + 0.9 * bootstrap - value[u]
        trace = np.prod([0.9 * other(c) for c in ratio[t + shift : u + shift]])
        total += trace * first(ratio[u]) * delta
        if terminated[u] or truncated[u]:
            break
    return total


def retraced(t, *rollout):
    return traced(rollout, t, lambda _: 1.0, lambda c: 0.8 * min(1.0, c), shift=1)


def vtraced(t, *rollout):
    first, other = lambda c: min(1.5, c), lambda c: 0.8 * min(0.7, c)
    return traced(rollout, t, first, other, shift=0)


def test_retrace_matches_its_definition():
    arrays = sequences(3)
    actual = jax.jit(lambda *x: retrace(*x, discount=0.9, lambda_=0.8))(*arrays)
    matches(actual, retraced, arrays)


def test_vtrace_matches_its_definition():
    arrays = sequences(4)
    options = {"discount": 0.9, "lambda_": 0.8, "max_rho": 1.5, "max_c": 0.7}
    actual = jax.jit(lambda *x: vtrace(*x, **options))(*arrays)
    matches(actual.value, vtraced, arrays)

    def advantage(t, *rollout):
        reward, value, next_value, terminated, truncated, log_ratio = rollout
        following = 0.0 if terminated[t] else next_value[t]
        if not (terminated[t] or truncated[t] or t == 11):
            following = vtraced(t + 1, *rollout)
        rho = min(1.5, np.exp(log_ratio[t]))
        return rho * (reward[t] + 0.9 * following - value[t])

    matches(actual.advantage, advantage, arrays)


def test_on_the_policy_that_acted_they_are_lambda_returns():
    *arrays, _ = sequences(5)
    zeros = np.zeros_like(arrays[0])
    options = {"discount": 0.9, "lambda_": 0.8}
    expected = arrays[1] + estimate(*arrays, **options)
    for estimator in (
        lambda *x: vtrace(*x, **options).value,
        lambda *x: retrace(*x, **options),
    ):
        found = jax.jit(estimator)(*arrays, zeros)
        chex.assert_trees_all_close(found, expected, atol=1e-5)


def test_less_than_one_step_is_an_error():
    reward, _, next_value, *ends, _ = sequences()
    with pytest.raises(UserError, match="num_steps=0: expected at least 1"):
        n_step_returns(reward, next_value, *ends, discount=0.9, num_steps=0)
