"""Objectives of variational autoencoders, beside NumPy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from fdl import models, objectives
from fdl.errors import UserError

PROGRAMS = 60

RANDOM = np.random.RandomState(0)
IMAGES = RANDOM.randint(2, size=(4, 2, 2, 1)).astype(np.float32)
MASK = np.array([1, 0, 1, 1], np.float32)
KEY = jax.random.key(3)
MODEL = models.functional(
    models.VAE(hidden_sizes=(5,), latent_size=3, input_shape=(2, 2, 1))
)
VARIABLES = jax.tree.map(
    lambda x: RANDOM.normal(size=x.shape).astype(np.float32),
    jax.eval_shape(MODEL.init, KEY),
)
SAMPLE = jax.jit(
    lambda key: MODEL.apply(VARIABLES, IMAGES, key=key, sample=True)[0]
)  # What the objective draws with the same key.


def value_and_grad(objective, batch, **options):
    """Loss, metrics and gradient of an objective."""

    @jax.jit
    def compute(variables, batch, key):
        def loss(variables):
            return objective(variables, batch, key, **options)

        (value, (_, found)), grad = jax.value_and_grad(loss, has_aux=True)(variables)
        return value, {name: x.compute() for name, x in found.items()}, grad

    return compute(VARIABLES, batch, KEY)


def expected_terms():
    """Negative log-likelihood [B], and divergence of each latent [B, L]."""
    logits, mean, log_var = (np.asarray(x, np.float64) for x in SAMPLE(KEY))
    nll = -stats.bernoulli.logpmf(IMAGES, special.expit(logits)).sum(axis=(1, 2, 3))
    return nll, (mean**2 + np.exp(log_var) - 1 - log_var) / 2


@pytest.mark.parametrize("train", [False, True])
def test_it_is_the_negative_elbo_of_what_counts(train):
    objective = objectives.variational(MODEL)
    batch = {"image": IMAGES, "mask": MASK}
    loss, found, _ = value_and_grad(objective, batch, train=train)
    nll, kl = (x[MASK > 0] for x in expected_terms())
    expected = {"loss": (nll + kl.sum(1)).mean(), "reconstruction": nll.mean()}
    expected["kl"] = kl.sum(1).mean()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(loss, expected["loss"], rtol=1e-5)


@pytest.mark.parametrize("beta, free_nats", [(4.0, 0.0), (1.0, 2.5), (0.5, 1.5)])
def test_beta_and_free_nats_change_what_is_learnt_and_not_what_is_measured(
    beta, free_nats
):
    objective = objectives.variational(MODEL, beta=beta, free_nats=free_nats)
    batch = {"image": IMAGES, "mask": MASK}
    nll, kl = (x[MASK > 0] for x in expected_terms())
    loss, found, _ = value_and_grad(objective, batch, train=True)
    means = kl.mean(axis=0)
    # Some latents are on each side of a threshold.
    assert not free_nats or 0 < (means > free_nats).sum() < 3
    expected = nll.mean() + beta * np.maximum(means, free_nats).sum()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(found["loss"], (nll + kl.sum(1)).mean(), rtol=1e-5)
    evaluated, _, _ = value_and_grad(objective, batch)
    np.testing.assert_allclose(evaluated, found["loss"], rtol=1e-6)


def test_a_latent_below_its_free_nats_is_not_pulled_to_the_prior():
    only_kl = objectives.variational(
        MODEL, free_nats=100.0, likelihood=lambda outputs, x: jnp.zeros(len(x))
    )
    _, _, grad = value_and_grad(only_kl, {"image": IMAGES}, train=True)
    assert not np.any([np.any(leaf) for leaf in jax.tree.leaves(grad)])


OBJECTIVES = {
    "vae": objectives.variational(MODEL),
    "beta_vae": objectives.variational(MODEL, beta=2.0, free_nats=0.1),
    "iwae": objectives.importance_weighted(MODEL, num_samples=3),
}
each = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)


@each
def test_where_nothing_counts_nothing_is_learnt(objective):
    batch = {"image": IMAGES, "mask": np.zeros(4, np.float32)}
    loss, _, grad = value_and_grad(objective, batch, train=True)
    assert np.isfinite(loss)
    assert not np.any([np.any(leaf) for leaf in jax.tree.leaves(grad)])


@each
def test_latents_need_a_key_in_evaluation_too(objective):
    with pytest.raises(UserError, match="key=None: expected a key, as latents are"):
        objective(VARIABLES, {"image": IMAGES})


@each
def test_pixels_beyond_one_make_the_loss_nan(objective):
    loss, _, _ = value_and_grad(objective, {"image": 2 * IMAGES})
    assert np.isnan(loss)


@each
def test_images_that_are_not_there_are_told(objective):
    with pytest.raises(UserError, match="no 'image' in a batch"):
        objective(VARIABLES, {"imge": IMAGES}, KEY)


@pytest.mark.parametrize("num_samples", [1, 5])
def test_iwae_is_the_log_of_the_mean_weight_by_the_densities(num_samples):
    noise_key, _, _ = jax.random.split(KEY, 3)
    noise = np.float64(jax.random.normal(noise_key, (num_samples, 4, 3)))
    _, mean, log_var = (np.asarray(x, np.float64) for x in SAMPLE(KEY))
    std = np.exp(log_var / 2)
    latents = mean + std * noise
    decode = jax.jit(lambda z: MODEL.apply(VARIABLES, z, method="decode")[0])
    logits = np.float64(decode(np.float32(latents.reshape(-1, 3))))
    chances = special.expit(logits.reshape(num_samples, *IMAGES.shape))
    log_weights = (
        stats.bernoulli.logpmf(IMAGES, chances).sum(axis=(2, 3, 4))
        + stats.norm.logpdf(latents).sum(axis=-1)
        - stats.norm.logpdf(latents, mean, std).sum(axis=-1)
    )
    bounds = special.logsumexp(log_weights, axis=0) - np.log(num_samples)
    objective = objectives.importance_weighted(MODEL, num_samples=num_samples)
    batch = {"image": IMAGES, "mask": MASK}
    loss, found, _ = value_and_grad(objective, batch, train=True)
    kept = MASK > 0
    np.testing.assert_allclose(loss, -bounds[kept].mean(), rtol=1e-5)
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-6)
    elbo = log_weights[:, kept].mean()
    np.testing.assert_allclose(found["negative_elbo"], -elbo, rtol=1e-5)


def test_options_that_cannot_be_are_told():
    for options in ({"beta": -1}, {"free_nats": -0.5}):
        with pytest.raises(UserError, match="expected a number from 0 on"):
            objectives.variational(MODEL, **options)
    with pytest.raises(UserError, match="num_samples=0: expected at least 1"):
        objectives.importance_weighted(MODEL, num_samples=0)
    with pytest.raises(UserError, match=r"expected a function likelihood\(outputs"):
        objectives.variational(MODEL, likelihood=lambda outputs: outputs)


def test_half_precision_is_near_float32():
    half = models.functional(MODEL.module.clone(dtype="bfloat16"))
    batch = {"image": IMAGES}
    for make in (objectives.variational, objectives.importance_weighted):
        wide, _, _ = value_and_grad(make(MODEL), batch)
        loss, found, grad = value_and_grad(make(half), batch)
        assert loss.dtype == jnp.float32
        np.testing.assert_allclose(loss, wide, rtol=0.03)
        assert np.isfinite([*found.values()]).all()
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grad))
