"""Log-likelihoods beside exact ones: of a linear Gaussian model, and by quadrature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from fdl import data, evaluation, models
from fdl.errors import UserError
from fdl.types import Model

PROGRAMS = 40

RANDOM = np.random.RandomState(0)
WEIGHTS = RANDOM.normal(size=(2, 4))
STD = 0.7
POINTS = RANDOM.normal(size=(30, 2)) @ WEIGHTS + STD * RANDOM.normal(size=(30, 4))
# The exact posterior of x = Wᵀ z + noise has one covariance for all x.
PRECISION = np.eye(2) + WEIGHTS @ WEIGHTS.T / STD**2


def linear_apply(variables, inputs, key=None, train=False, method=None):
    """Posterior that is too wide, and independent where the exact one is not."""
    if method == "decode":
        return inputs @ jnp.float32(WEIGHTS), {}
    covariance = np.linalg.inv(PRECISION)
    mean = inputs @ jnp.float32(WEIGHTS.T / STD**2 @ covariance)
    log_var = jnp.float32(np.log(1.5 * np.diag(covariance)))
    return (mean, jnp.broadcast_to(log_var, mean.shape)), {}


def linear_nll(outputs, inputs):
    terms = jnp.square((inputs - outputs) / STD) + np.log(2 * np.pi * STD**2)
    return 0.5 * terms.sum(axis=-1)


LINEAR = Model(lambda key: {"params": {}}, linear_apply)


def linear_evaluation(batch_size=30, **options):
    batches = data.batches({"x": np.float32(POINTS)}, batch_size, shuffle=False)
    return evaluation.importance_sampled(
        LINEAR, batches, inputs="x", likelihood=linear_nll, **options
    )({"params": {}})


@pytest.mark.parametrize("batch_size", [30, 8])
def test_it_is_the_exact_log_likelihood_of_a_linear_gaussian_model(batch_size):
    covariance = WEIGHTS.T @ WEIGHTS + STD**2 * np.eye(4)
    exact = stats.multivariate_normal.logpdf(POINTS, np.zeros(4), covariance)
    found = linear_evaluation(batch_size, num_samples=4000, samples_at_once=500)
    error = found["monte_carlo_error"]
    assert 0 < error < 0.01
    assert abs(found["log_likelihood"] - exact.mean()) < 4 * error
    expected = exact.std(ddof=1) / np.sqrt(30)
    np.testing.assert_allclose(found["log_likelihood_error"], expected, rtol=0.02)


def test_its_error_is_the_spread_over_seeds():
    found = [linear_evaluation(num_samples=100, seed=seed) for seed in range(20)]
    spread = np.std([one["log_likelihood"] for one in found], ddof=1)
    error = np.mean([one["monte_carlo_error"] for one in found])
    assert 0.6 < spread / error < 1.6  # Of twenty, a ratio of 0.7 to 1.3 is usual.
    assert linear_evaluation(num_samples=100, seed=3) == found[3]


IMAGES = RANDOM.randint(2, size=(5, 2, 2, 1)).astype(np.uint8)
VAE = models.functional(
    models.VAE(hidden_sizes=(5,), latent_size=1, input_shape=(2, 2, 1))
)
VARIABLES = jax.tree.map(
    lambda x: RANDOM.normal(size=x.shape).astype(np.float32),
    jax.eval_shape(VAE.init, jax.random.key(0)),
)
# A posterior of standard deviation 1.3, wider than the exact one, so that no sample has
# most of the weight.
VARIABLES["params"]["log_var"] = {
    "kernel": np.zeros((5, 1), np.float32),
    "bias": np.full(1, 0.5, np.float32),
}
BATCHES = data.batches({"image": IMAGES}, 3, shuffle=False)


def floats(batch):
    return {**batch, "image": batch["image"].astype(jnp.float32)}


def test_it_is_the_integral_over_the_latent_of_a_small_vae():
    latents = np.linspace(-9, 9, 2001)
    decode = jax.jit(lambda z: VAE.apply(VARIABLES, z, method="decode")[0])
    logits = np.float64(decode(np.float32(latents[:, None])))[:, None]
    chances = special.expit(logits)
    joint = stats.bernoulli.logpmf(IMAGES, chances).sum(axis=(2, 3, 4))
    joint += stats.norm.logpdf(latents)[:, None]
    exact = special.logsumexp(joint, axis=0) + np.log(latents[1] - latents[0])
    found = evaluation.importance_sampled(
        VAE, BATCHES, num_samples=20_000, samples_at_once=5000, preprocess=floats
    )(VARIABLES)
    assert abs(found["log_likelihood"] - exact.mean()) < 4 * found["monte_carlo_error"]
    assert found["monte_carlo_error"] < 0.05


def test_latents_whose_mean_does_not_depend_on_the_example_are_not_active():
    def apply(variables, images, key=None, method=None):
        sums = images.reshape(len(images), -1).sum(axis=1)
        mean = jnp.stack([sums, 0.01 * sums, 0 * sums + 5], axis=1)
        return (mean, jnp.zeros_like(mean)), {}

    model = Model(lambda key: {}, apply)
    variances = np.var(IMAGES.reshape(5, -1).sum(axis=1, dtype=float))
    assert 0.01 < variances < 100
    count = evaluation.active_units(model, BATCHES, preprocess=floats)
    assert count({}) == {"active_units": 1}
    lower = evaluation.active_units(model, BATCHES, threshold=1e-9, preprocess=floats)
    assert lower({}) == {"active_units": 2}


def test_numbers_of_samples_that_do_not_go_together_are_told():
    with pytest.raises(UserError, match="num_samples=1: expected at least 2"):
        evaluation.importance_sampled(VAE, BATCHES, num_samples=1)
    with pytest.raises(UserError, match="samples_at_once=7: expected a divisor"):
        evaluation.importance_sampled(VAE, BATCHES, samples_at_once=7)
