import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fdl import losses
from fdl.errors import UserError

PROGRAMS = 130

RANDOM = np.random.default_rng(0)
OUTPUTS = RANDOM.normal(size=(5, 3, 2)).astype(np.float32)
TARGETS = RANDOM.normal(size=(5, 3)).astype(np.float32)
COUNTS = RANDOM.poisson(4, size=(5, 3))
gaussian_nll = jax.jit(losses.gaussian_nll)
poisson_nll = jax.jit(losses.poisson_nll)


def test_gaussian_nll_is_the_density_of_scipy():
    mean, log_variance = np.moveaxis(OUTPUTS.astype(np.float64), -1, 0)
    expected = -stats.norm.logpdf(TARGETS, mean, np.exp(log_variance / 2))
    actual = gaussian_nll(OUTPUTS, TARGETS)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_it_is_least_at_the_mean_and_the_variance_of_the_targets():
    targets = RANDOM.normal(2.0, 3.0, size=1000).astype(np.float32)
    best = np.stack([targets.mean(), np.log(targets.var())])

    def cost(outputs):
        outputs = jnp.broadcast_to(outputs, (1000, 2))
        return losses.gaussian_nll(outputs, targets).mean()

    np.testing.assert_allclose(jax.jit(jax.grad(cost))(best), 0, atol=1e-5)


@pytest.mark.parametrize(
    "log_variance, loss", [(1e4, 5000.91894), (80.0, 40.91894), (-1e4, np.inf)]
)
def test_it_says_how_it_is_of_extreme_variances(log_variance, loss):
    outputs = np.array([0.0, log_variance])
    actual = gaussian_nll(outputs, np.array(1.0))
    np.testing.assert_allclose(actual, loss, rtol=1e-6)


@pytest.mark.parametrize("counts", [COUNTS, COUNTS.astype(np.float32)])
def test_poisson_nll_is_the_probability_of_scipy(counts):
    log_rates = OUTPUTS[..., 0]
    expected = -stats.poisson.logpmf(COUNTS, np.exp(log_rates.astype(np.float64)))
    actual = poisson_nll(log_rates, counts)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_it_is_stable_with_small_rates_and_infinite_with_large_ones():
    log_rates, counts = np.array([-1e4, -1e4, 1e4]), np.array([0, 3, 3])
    actual = poisson_nll(log_rates, counts)
    expected = [0, 3e4 + np.log(6), np.inf]
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def test_a_count_below_zero_is_not_a_number_and_teaches_nothing():
    log_rates, counts = np.array([0.5, 0.5]), np.array([-1, 1])
    assert list(np.isnan(poisson_nll(log_rates, counts))) == [True, False]
    loss = jax.grad(lambda x: losses.poisson_nll(x, counts).sum())
    grad = jax.jit(loss)(log_rates)
    np.testing.assert_allclose(grad, [0, np.exp(0.5) - 1], rtol=1e-6)


def test_shapes_that_differ_are_not_broadcast():
    with pytest.raises(UserError, match=r"\]: expected "):
        gaussian_nll(jnp.zeros((4, 1)), jnp.zeros(4))
    with pytest.raises(UserError, match=r"\]: expected "):
        poisson_nll(jnp.zeros((4, 1)), jnp.zeros(4))


@pytest.mark.parametrize("log_variance", [-100.0, -1e4])
def test_to_be_right_and_too_sure_is_learnt_from(log_variance):
    outputs = np.array([3.0, log_variance])
    value_and_grad = jax.jit(jax.value_and_grad(losses.gaussian_nll))
    loss, grad = value_and_grad(outputs, np.array(3.0))
    expected = (log_variance + np.log(2 * np.pi)) / 2
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_array_equal(grad, [0, 0.5])
