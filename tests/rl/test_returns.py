import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.rl import gae

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
