"""Distributions of vectors, against scipy in double precision."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from fdl.distributions import bernoulli, beta, normal, squashed_normal
from fdl.errors import UserError

RNG = np.random.default_rng(0)
MEAN, LOG_STD = RNG.normal(size=(2, 5, 3)).astype(np.float32)
ALPHA, BETA = np.exp(RNG.normal(1.0, 0.8, size=(2, 5, 3))).astype(np.float32)
U = RNG.normal(size=(5, 3)).astype(np.float32)
BITS = RNG.integers(2, size=(5, 3)).astype(np.int32)


def oracle(name):
    """Of scipy: the distribution of each number."""
    if name == "bernoulli":
        return scipy.stats.bernoulli(1 / (1 + np.exp(-MEAN.astype(float))))
    if name == "beta":
        return scipy.stats.beta(ALPHA.astype(float), BETA.astype(float))
    return scipy.stats.norm(MEAN.astype(float), np.exp(LOG_STD.astype(float)))


CASES = {
    "normal": (normal(), (MEAN, LOG_STD), U),
    "beta": (beta(), (ALPHA, BETA), 1 / (1 + np.exp(-U))),
    "bernoulli": (bernoulli(), MEAN, BITS),
}


@pytest.mark.parametrize("name", CASES)
def test_log_prob_and_entropy_are_those_of_scipy(name):
    distribution, params, x = CASES[name]
    log = oracle(name).logpmf if name == "bernoulli" else oracle(name).logpdf
    expected = log(x.astype(float)).sum(-1), oracle(name).entropy().sum(-1)
    found = (
        jax.jit(distribution.log_prob)(params, x),
        jax.jit(distribution.entropy)(params),
    )
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [*CASES, "squashed_normal"])
@pytest.mark.some(3)
def test_samples_are_distributed_as_scipy_says(name):
    squashed = name == "squashed_normal"
    distribution, params, _ = (squashed_normal(), (MEAN, LOG_STD), U)
    if not squashed:
        distribution, params, _ = CASES[name]
    keys = jax.random.split(jax.random.key(0), 4_000)
    draw = jax.vmap(distribution.sample_and_log_prob, (None, 0))
    x, log_prob = jax.jit(draw)(params, keys)
    chex.assert_trees_all_close(
        log_prob[:9],
        jax.jit(jax.vmap(distribution.log_prob, (None, 0)))(params, x[:9]),
        atol=0.1 if squashed else 1e-4,  # Of x near an edge, u has few digits left.
    )
    x = np.asarray(x, float)
    quantiles = np.array([0.1, 0.5, 0.9])[:, None, None]
    if name == "bernoulli":
        np.testing.assert_allclose(x.mean(0), oracle(name).mean(), atol=0.03)
        return
    points = oracle(name).ppf(quantiles)
    points = np.tanh(points) if squashed else points
    share = (x[None] <= points[:, None]).mean(axis=1)
    np.testing.assert_allclose(share, np.broadcast_to(quantiles, (3, 5, 3)), atol=0.03)


@pytest.mark.parametrize("name", CASES)
def test_the_mode_is_the_most_probable(name):
    distribution, params, _ = CASES[name]
    peaked = (ALPHA > 1) & (BETA > 1) if name == "beta" else np.ones((5, 3), bool)
    mode = np.asarray(distribution.mode(params))
    one = oracle(name)
    if name == "bernoulli":
        np.testing.assert_array_equal(mode, one.pmf(1) > 0.5)
        return
    for step in (-1e-2, 1e-2):
        assert (one.logpdf(mode) > one.logpdf(mode + step))[peaked].all()
    assert (mode[~peaked] == (ALPHA / (ALPHA + BETA))[~peaked]).all()


def squashed_log_prob(mean, log_std, u):
    """The definition, log N(u) − log(1 − tanh²(u)), by logarithms of each factor."""
    mean, log_std, u = (np.asarray(x, float) for x in (mean, log_std, u))
    log_slope = np.log(4.0) - 2 * np.abs(u) - 2 * np.log1p(np.exp(-2 * np.abs(u)))
    return (scipy.stats.norm(mean, np.exp(log_std)).logpdf(u) - log_slope).sum(-1)


def test_the_squashed_log_prob_is_the_definition():
    x = np.tanh(U)
    found = jax.jit(squashed_normal().log_prob)((MEAN, LOG_STD), x)
    expected = squashed_log_prob(MEAN, LOG_STD, np.arctanh(x.astype(float)))
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mean", [-30.0, -9.0, 5.0, 30.0])
def test_the_squashed_log_prob_keeps_its_digits_at_the_edges(mean):
    """There tanh(u) rounds to one, and one minus its square to zero."""
    params = np.float32([[mean]]), np.float32([[-1.0]])
    draw = jax.jit(squashed_normal().sample_and_log_prob)
    x, log_prob = draw(params, jax.random.key(0))
    u = mean + np.exp(-1) * float(jax.random.normal(jax.random.key(0), (1, 1))[0, 0])
    expected = squashed_log_prob(*params, [[u]])
    chex.assert_trees_all_close(log_prob, expected, rtol=1e-4, atol=1e-4)
    assert abs(x) <= 1

    def loss(params):
        x, log_prob = squashed_normal().sample_and_log_prob(params, jax.random.key(1))
        return (log_prob + squashed_normal().log_prob(params, jnp.sign(x))).sum()

    gradient = jax.jit(jax.grad(loss))(params)
    assert np.isfinite(jax.tree.leaves(gradient)).all()


def test_the_squashed_entropy_is_its_integral():
    def entropy(mean, log_std):
        one = scipy.stats.norm(mean, np.exp(log_std))
        terms = lambda u: (  # noqa: E731
            -one.pdf(u) * squashed_log_prob([mean], [log_std], [u])
        )
        low, high = one.ppf([1e-12, 1 - 1e-12])
        return scipy.integrate.quad(terms, low, high)[0]

    mean, log_std = np.float32([0.0, 1.5, -3.0]), np.float32([-1.0, 0.5, 1.0])
    found = jax.jit(squashed_normal().entropy)((mean[:, None], log_std[:, None]))
    expected = [entropy(*map(float, pair)) for pair in zip(mean, log_std, strict=True)]
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_samples_of_a_normal_move_with_its_parameters():
    """Reparametrised: the gradient of a sample is (1, σ ε)."""
    draw = functools.partial(normal().sample, key=jax.random.key(0))
    params = jnp.zeros(2), jnp.ones(2)
    gradient = jax.jit(jax.grad(lambda params: draw(params).sum()))(params)
    chex.assert_trees_all_close(gradient, (jnp.ones(2), draw(params)), rtol=1e-5)


def test_edges_of_the_beta_distribution_are_finite():
    params, edges = (jnp.full(2, 0.5), jnp.full(2, 0.5)), jnp.array([0.0, 1.0])
    assert np.isfinite(jax.jit(beta().log_prob)(params, edges))


def test_certain_bits_and_what_is_no_bit():
    logits = jnp.array([jnp.inf, -jnp.inf])
    value = jax.jit(jax.value_and_grad(bernoulli().entropy))(logits)
    chex.assert_trees_all_close(value, (jnp.zeros(()), jnp.zeros(2)))
    assert bernoulli().log_prob(logits, jnp.array([1, 0])) == 0
    assert np.isnan(bernoulli().log_prob(jnp.zeros(1), jnp.array([2])))


def test_half_precision_is_widened():
    params = MEAN.astype(jnp.bfloat16), LOG_STD.astype(jnp.bfloat16)
    for distribution in (normal(), squashed_normal()):
        chex.assert_type(distribution.sample_and_log_prob(params, KEY), jnp.float32)


KEY = jax.random.key(0)


@pytest.mark.parametrize(
    "params, x, message",
    [
        (jnp.zeros((4, 1)), jnp.zeros((4, 1)), r"expected \(mean, log_std\), each"),
        ((jnp.zeros((4, 1)),) * 2, jnp.zeros(4), r"x of shape \[4\]: expected \[4, 1"),
        ((jnp.zeros((4, 1)), jnp.zeros(1)), jnp.zeros((4, 1)), "of one shape"),
    ],
)
def test_what_does_not_fit_is_not_broadcast(params, x, message):
    with pytest.raises(UserError, match=message):
        normal().log_prob(params, x)
