"""Gaussian mixtures against scikit-learn's, of equal parameters."""

import jax
import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Theirs

from fdl.models import functional
from fdl.models.generative.gaussian_mixture import GaussianMixture

COUNT, SIZE = 3, 4
MODULE = GaussianMixture(COUNT, (SIZE,))
MODEL = functional(MODULE)
RANDOM = np.random.RandomState(0)
PARAMS = {
    "logits": RANDOM.normal(size=COUNT).astype(np.float32),
    "means": RANDOM.normal(size=(COUNT, SIZE)).astype(np.float32),
    "log_diagonal": RANDOM.normal(size=(COUNT, SIZE)).astype(np.float32),
    "off_diagonal": RANDOM.normal(size=(COUNT, 6)).astype(np.float32),
}
POINTS = (2 * RANDOM.normal(size=(7, SIZE))).astype(np.float32)


@pytest.fixture(scope="module")
def theirs():
    mixture = Theirs(COUNT)
    weights = np.exp(np.float64(PARAMS["logits"]))
    factors = np.zeros((COUNT, SIZE, SIZE))
    for k in range(COUNT):
        factors[k][np.triu_indices(SIZE, 1)] = PARAMS["off_diagonal"][k]
        factors[k] += np.diag(np.exp(np.float64(PARAMS["log_diagonal"][k])))
    mixture.weights_ = weights / weights.sum()
    mixture.means_ = np.float64(PARAMS["means"])
    mixture.precisions_cholesky_ = factors
    mixture.covariances_ = np.linalg.inv(factors @ factors.swapaxes(1, 2))
    return mixture


def test_densities_and_responsibilities_are_those_of_scikit_learn(theirs):
    @jax.jit
    def run(variables, points):
        shares, _ = MODEL.apply(variables, points, method="responsibilities")
        return MODEL.apply(variables, points)[0], shares

    log_density, shares = run({"params": PARAMS}, POINTS)
    np.testing.assert_allclose(log_density, theirs.score_samples(POINTS), rtol=1e-5)
    np.testing.assert_allclose(shares, theirs.predict_proba(POINTS), atol=1e-5)


def test_samples_have_the_moments_of_the_mixture(theirs):
    @jax.jit
    def draw(variables, temperature):
        key = jax.random.key(0)
        return MODEL.apply(variables, temperature, key=key, method="sample")[0]

    count = 100_000
    samples = np.asarray(
        draw({"params": PARAMS}, np.ones(count, np.float32)), np.float64
    )
    mean = theirs.weights_ @ theirs.means_
    spread = theirs.means_ - mean
    covariance = np.einsum("k,kde->de", theirs.weights_, theirs.covariances_)
    covariance += np.einsum("k,kd,ke->de", theirs.weights_, spread, spread)
    deviation = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((samples.mean(axis=0) - mean) / deviation, 0, atol=0.02)
    scale = np.outer(deviation, deviation)
    np.testing.assert_allclose((np.cov(samples.T) - covariance) / scale, 0, atol=0.05)
    cold = np.asarray(draw({"params": PARAMS}, np.zeros(count, np.float32)))
    distances = np.abs(cold[:100, None] - theirs.means_[None]).max(axis=-1).min(axis=-1)
    np.testing.assert_allclose(distances, 0, atol=1e-6)


def test_far_points_have_a_finite_density_and_gradient():
    @jax.jit
    def run(params, points):
        return jax.value_and_grad(
            lambda p: MODEL.apply({"params": p}, points)[0].sum()
        )(params)

    value, grads = run(PARAMS, POINTS * 1e6)
    assert np.isfinite(value) and value < -1e9
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(grads))


def test_half_precision_is_computed_in_float32(theirs):
    half = {name: value.astype("bfloat16") for name, value in PARAMS.items()}
    exact = {name: value.astype("float32") for name, value in half.items()}
    apply = jax.jit(lambda v, x: MODEL.apply({"params": v}, x)[0])
    points = POINTS.astype("bfloat16")
    actual, expected = apply(half, points), apply(exact, points.astype("float32"))
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
