import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import losses, objectives
from fdl.errors import UserError
from fdl.types import Model

IMAGES = (np.random.default_rng(0).integers(5, size=(4, 3, 2)) / 4).astype(np.float32)
KEY = jax.random.key(3)


def log_density(variables, x, key=None, train=False, method=None):
    """Of independent exponential values, and what it was called with."""
    rate = variables["params"]["rate"]
    values = jnp.log(rate) - rate * x.reshape(len(x), -1)
    assert method in (None, "other")
    return values.sum(axis=-1) * (2 if method else 1), {"state": x}


MODEL = Model(lambda key: {"params": {"rate": jnp.ones(())}}, log_density)
VARIABLES = {"params": {"rate": jnp.float32(1.5)}}


@pytest.mark.parametrize("method", [None, "other"])
def test_it_is_the_mean_negative_log_likelihood_of_what_counts(method):
    batch = {"image": IMAGES, "mask": np.array([1, 0, 1, 1], np.float32)}
    objective = jax.jit(objectives.density(MODEL, method=method))
    loss, (_, metrics) = objective(VARIABLES, batch)
    kept = np.float64(IMAGES[[0, 2, 3]]).reshape(3, -1)
    nll = -(np.log(1.5) - 1.5 * kept).sum(axis=1) * (2 if method else 1)
    np.testing.assert_allclose(loss, nll.mean(), rtol=1e-6)
    assert metrics.keys() == {"loss"} and float(metrics["loss"].weight) == 3


def test_of_discrete_values_it_is_that_of_the_dequantised_ones_per_level():
    batch = {"image": IMAGES, "mask": np.array([1, 0, 1, 1], np.float32)}
    objective = jax.jit(objectives.density(MODEL, levels=5))
    loss, (state, metrics) = objective(VARIABLES, batch, KEY)
    y = np.float64(state["state"])
    np.testing.assert_array_equal(np.floor(5 * y), np.round(4 * IMAGES))
    nll = -(np.log(1.5) - 1.5 * y.reshape(4, -1)).sum(axis=1) + 6 * np.log(5)
    expected = nll[[0, 2, 3]].mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_allclose(metrics["loss"].compute(), expected, rtol=1e-6)
    bits = metrics["bits_per_dimension"].compute()
    np.testing.assert_allclose(bits, expected / 6 / np.log(2), rtol=1e-6)
    again = objective(VARIABLES, batch, KEY)[0]
    other = objective(VARIABLES, batch, jax.random.key(4))[0]
    assert again == loss != other


@pytest.mark.parametrize("levels", [None, 5])
def test_where_nothing_counts_nothing_is_learnt(levels):
    batch = {"image": IMAGES, "mask": np.zeros(4, np.float32)}
    objective = objectives.density(MODEL, levels=levels)
    run = jax.jit(jax.value_and_grad(objective, has_aux=True))
    (loss, _), grad = run(VARIABLES, batch, KEY)
    assert (loss, grad["params"]["rate"]) == (0, 0)


def test_what_is_missing_or_wrong_is_told():
    with pytest.raises(UserError, match="key=None: expected a key, to dequantise"):
        objectives.density(MODEL, levels=5)(VARIABLES, {"image": IMAGES})
    with pytest.raises(UserError, match="levels=1: expected at least 2"):
        objectives.density(MODEL, levels=1)(VARIABLES, {"image": IMAGES}, KEY)
    per_value = Model(MODEL.init, lambda variables, x, **options: (x, {}))
    with pytest.raises(UserError, match=r"log-densities of float32\[4, 3, 2\]: exp"):
        objectives.density(per_value)(VARIABLES, {"image": IMAGES})


def test_noise_is_uniform_and_within_the_level():
    values = np.repeat(np.float32([0, 0.25, 1]), 20_000)
    y = np.asarray(jax.jit(lambda x: losses.dequantize(x, KEY, levels=5))(values))
    noise = 5 * np.float64(y).reshape(3, -1) - [[0], [1], [4]]
    assert noise.min() > -1e-6 and noise.max() < 1 + 1e-6
    np.testing.assert_allclose(noise.mean(axis=1), 0.5, atol=0.01)
    np.testing.assert_allclose(noise.var(axis=1), 1 / 12, atol=0.002)


def test_bits_of_a_uniform_density_are_those_of_the_levels():
    """Whatever the density in the cells, the bound is at least the entropy."""
    nll = np.zeros(3, np.float32)
    bits = losses.bits_per_dimension(nll, 10, levels=256)
    np.testing.assert_allclose(bits, 8, rtol=1e-6)
    halves = losses.bits_per_dimension(nll - 10 * np.log(2, dtype="f"), 10, levels=256)
    np.testing.assert_allclose(halves, 7, rtol=1e-6)
    half = losses.bits_per_dimension(jnp.float16(10 * np.log(2)), 10)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, 1, rtol=1e-3)
    with pytest.raises(UserError, match="num_dimensions=0: expected at least 1"):
        losses.bits_per_dimension(nll, 0)
