"""Annealed importance sampling against the sum over all states."""

import functools

import jax
import numpy as np
import pytest

from fdl import models
from fdl.errors import UserError
from fdl.evaluation import annealed_importance_sampling

MODULE = models.RBM(num_hidden=6, input_shape=(9,))


def params(scale):
    random = np.random.RandomState(0)
    return {
        "kernel": (scale * random.normal(size=(9, 6))).astype(np.float32),
        "visible_bias": random.normal(size=9).astype(np.float32),
        "hidden_bias": random.normal(size=6).astype(np.float32),
    }


@functools.cache
def sampled(num_chains, num_steps):
    return jax.jit(
        lambda params, key, mean: annealed_importance_sampling(
            params, key, visible_mean=mean, num_chains=num_chains, num_steps=num_steps
        )
    )


exact = jax.jit(lambda p: MODULE.apply({"params": p}, method="log_partition"))


@pytest.mark.parametrize("scale", [0.5, 2.0])
@pytest.mark.parametrize("mean", [0.5, 0.9])
def test_the_estimate_is_within_its_error_of_the_exact_value(scale, mean):
    means = np.full(9, mean, np.float32)
    run = sampled(500, 300)
    found = run(params(scale), jax.random.key(0), means)
    expected = float(exact(params(scale)))
    assert 0 < found.standard_error < 0.1
    assert abs(found.estimate - expected) < 3.5 * found.standard_error
    assert 20 < found.effective_samples <= 500


def test_the_mean_of_z_has_no_bias_and_the_error_that_is_told():
    """Of 200 estimates from few chains and few steps."""
    run = jax.jit(jax.vmap(sampled(20, 5), in_axes=(None, 0, None)))
    keys = jax.random.split(jax.random.key(1), 200)
    found = run(params(1.0), keys, np.full(9, 0.5, np.float32))
    ratios = np.exp(np.float64(found.estimate) - float(exact(params(1.0))))
    error = ratios.std(ddof=1)
    assert abs(ratios.mean() - 1) < 4 * error / np.sqrt(200)
    told = np.sqrt(np.mean((np.float64(found.standard_error) * ratios) ** 2))
    np.testing.assert_allclose(told, error, rtol=0.2)


def test_without_weights_it_is_exact():
    independent = params(0.0)
    independent["hidden_bias"] *= 0
    bias = np.float64(independent["visible_bias"])
    means = np.float32(1 / (1 + np.exp(-bias)))
    found = sampled(500, 300)(independent, jax.random.key(0), means)
    expected = np.log1p(np.exp(bias)).sum() + 6 * np.log(2)
    np.testing.assert_allclose(found.estimate, expected, rtol=1e-5)
    np.testing.assert_allclose(found.standard_error, 0, atol=1e-4)
    np.testing.assert_allclose(found.effective_samples, 500, rtol=1e-4)


def test_no_chains_are_told():
    with pytest.raises(UserError, match="num_chains=0: expected at least 1"):
        annealed_importance_sampling(params(1.0), jax.random.key(0), num_chains=0)
