"""The terms of the evidence lower bound are those of SciPy and PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from fdl import losses
from fdl.errors import UserError

RANDOM = np.random.RandomState(0)
MEAN, LOG_VAR = RANDOM.normal(scale=2, size=(2, 6, 4)).astype(np.float32)
LOGITS = RANDOM.normal(scale=3, size=(6, 2, 2, 1)).astype(np.float32)
PIXELS = RANDOM.randint(2, size=LOGITS.shape).astype(np.uint8)
# Sums over all examples that torch.distributions gives; see the oracle below.
THEIRS = {"kl": 157.344457, "nll": 28.0102981, "elbo": 106.682527}
gaussian_kl = jax.jit(losses.gaussian_kl)
bernoulli_nll = jax.jit(losses.bernoulli_nll)
bound = jax.jit(losses.importance_weighted_elbo)


def ours():
    kl = gaussian_kl(MEAN, LOG_VAR)
    nll = bernoulli_nll(LOGITS, PIXELS)
    elbo = jax.jit(losses.negative_elbo)(nll, kl, beta=0.5)
    return {"kl": kl, "nll": nll, "elbo": elbo}


def test_they_have_the_values_of_torch():
    for name, value in ours().items():
        np.testing.assert_allclose(value.sum(), THEIRS[name], rtol=1e-6, err_msg=name)


@pytest.mark.oracle
def test_torch_gives_these_values(torch):
    def tensor(x):
        return torch.tensor(x, dtype=torch.float64)

    normal = torch.distributions.Normal
    posterior = normal(tensor(MEAN), tensor(np.exp(np.float64(LOG_VAR) / 2)))
    prior = normal(tensor(0.0), tensor(1.0))
    pixels = torch.distributions.Bernoulli(logits=tensor(LOGITS))
    kl = torch.distributions.kl_divergence(posterior, prior)
    nll = -pixels.log_prob(tensor(PIXELS)).flatten(1).sum(1)
    theirs = {"kl": kl, "nll": nll, "elbo": nll + 0.5 * kl.sum(1)}
    for name, value in ours().items():
        np.testing.assert_allclose(value, theirs[name].numpy(), rtol=2e-6, err_msg=name)
        np.testing.assert_allclose(theirs[name].sum().item(), THEIRS[name], rtol=1e-6)


def test_the_divergence_is_the_mean_log_ratio_of_the_densities():
    points, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    mean, std = np.float64(MEAN)[..., None], np.exp(np.float64(LOG_VAR) / 2)[..., None]
    at = mean + std * points
    ratios = stats.norm.logpdf(at, mean, std) - stats.norm.logpdf(at)
    np.testing.assert_allclose(
        gaussian_kl(MEAN, LOG_VAR), ratios @ weights, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    "mean, log_var, expected",
    [
        (0, 1e-3, 0.25e-6),  # ½ (exp(x) - 1 - x) is x² / 4 + ...
        (0, -1e-3, 0.25e-6),
        (0, -1e4, 5e3 - 0.5),
        (0, 80, (np.exp(80) - 81) / 2),
        (1e3, 0, 5e5),
        (0, 1e4, np.inf),
        (0, -np.inf, np.inf),
    ],
)
def test_the_divergence_of_extreme_variances(mean, log_var, expected):
    actual = gaussian_kl(np.float32(mean), np.float32(log_var))
    np.testing.assert_allclose(
        actual, expected, rtol=1e-2 if abs(log_var) == 1e-3 else 1e-6
    )


def test_the_likelihood_is_that_of_scipy():
    probabilities = special.expit(LOGITS.astype(np.float64))
    expected = -stats.bernoulli.logpmf(PIXELS, probabilities).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(bernoulli_nll(LOGITS, PIXELS), expected, rtol=1e-5)


def test_the_likelihood_of_what_is_sure_and_of_what_is_no_pixel():
    logits = np.array([[1e4, -1e4], [1e4, 0], [0, 0]], np.float32)
    pixels = np.array([[1, 0], [0, 1], [0, 1.5]], np.float32)
    actual = bernoulli_nll(logits, pixels)
    np.testing.assert_allclose(actual[:2], [0, 1e4 + np.log(2)], rtol=1e-6)
    assert np.isnan(actual[2])


def test_half_precision_is_summed_in_float32():
    logits = jnp.full((1, 5000), 0.01, jnp.bfloat16)
    zeros = np.zeros((1, 5000), np.uint8)
    expected = 5000 * np.log1p(np.exp(np.float64(logits[0, 0])))
    actual = bernoulli_nll(logits, zeros)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, [expected], rtol=1e-5)
    halves = jnp.full((1, 5000), 0.5, jnp.bfloat16)
    elbo = jax.jit(losses.negative_elbo)(jnp.ones(1, jnp.bfloat16), halves)
    assert elbo.dtype == jnp.float32 and float(elbo[0]) == 2501


@pytest.mark.parametrize("shift", [0, 1e4, -1e4])
def test_the_bound_of_several_samples_is_the_log_of_their_mean(shift):
    log_weights = RANDOM.normal(scale=5, size=(7, 3)) + shift
    expected = special.logsumexp(np.float64(np.float32(log_weights)), 0) - np.log(7)
    np.testing.assert_allclose(bound(np.float32(log_weights)), expected, rtol=1e-6)


def test_the_bound_of_one_sample_is_its_log_weight():
    np.testing.assert_array_equal(bound(MEAN[:1]), MEAN[0])


def test_a_sample_of_weight_zero_counts_among_the_samples():
    weights = np.array([[-np.inf, -np.inf], [0, -np.inf]], np.float32)
    np.testing.assert_allclose(bound(weights), [-np.log(2), -np.inf], rtol=1e-6)


def test_shapes_and_weights_that_cannot_be_are_told():
    with pytest.raises(UserError, match=r"log_var of float32\[3\]: expected float\[2"):
        losses.gaussian_kl(jnp.zeros((2, 3)), jnp.zeros(3))
    with pytest.raises(UserError, match=r"kl of float32\[3, 4\]: expected float\[2, 4"):
        losses.negative_elbo(jnp.zeros(2), jnp.zeros((3, 4)))
    with pytest.raises(UserError, match="beta=-1: expected a number from 0 on"):
        losses.negative_elbo(jnp.zeros(2), jnp.zeros((2, 4)), beta=-1)
