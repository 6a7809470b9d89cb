import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn import metrics as sklearn

from fdl import losses, metrics
from fdl.errors import UserError

PROGRAMS = 270

RANDOM = np.random.default_rng(0)
X, Y = (3 * RANDOM.normal(size=(2, 40, 3))).astype(np.float32)
E = X.astype(np.float64) - Y


def at_level(x, y):
    return losses.quantile(x, y, level=0.9)


EVERY = pytest.mark.parametrize(
    "loss",
    [
        losses.squared_error,
        losses.absolute_error,
        losses.huber,
        losses.log_cosh,
        at_level,
    ],
)


@pytest.mark.parametrize(
    "loss, expected",
    [
        (losses.squared_error, E**2),
        (losses.absolute_error, np.abs(E)),
        (losses.huber, np.where(np.abs(E) <= 1, E**2 / 2, np.abs(E) - 0.5)),
        (losses.log_cosh, np.log(np.cosh(E))),
        (at_level, np.where(E < 0, -0.9 * E, 0.1 * E)),
    ],
)
def test_errors_equal_their_definitions(loss, expected):
    np.testing.assert_allclose(jax.jit(loss)(X, Y), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "loss, score",
    [
        (losses.squared_error, sklearn.mean_squared_error),
        (losses.absolute_error, sklearn.mean_absolute_error),
        (at_level, lambda y, x: sklearn.mean_pinball_loss(y, x, alpha=0.9)),
    ],
)
def test_their_means_are_scikit_learns(loss, score):
    np.testing.assert_allclose(loss(X, Y).mean(), score(Y, X), rtol=1e-5)


def test_the_squared_error_is_no_half():
    twice = 2 * optax.l2_loss(jnp.asarray(X), jnp.asarray(Y))
    np.testing.assert_allclose(losses.squared_error(X, Y), twice, rtol=1e-6)


def test_weights_are_those_of_the_mean():
    predictions, targets = jnp.array([2.5, 0, 2, 8]), jnp.array([3, -0.5, 2, 7])
    errors = losses.absolute_error(predictions, targets)
    assert metrics.mean(errors).compute() == 0.5
    assert metrics.mean(errors, jnp.array([1.0, 2, 0, 1])).compute() == 0.625


@pytest.mark.parametrize("delta", [0.1, 1.0, 30.0])
def test_huber_is_squared_within_delta_and_absolute_beyond(delta):
    loss = losses.huber(X, Y, delta=delta)
    near = np.abs(E) <= delta
    np.testing.assert_allclose(loss[near], (E**2 / 2)[near], rtol=1e-5)
    far = delta * (np.abs(E) - delta / 2)
    np.testing.assert_allclose(loss[~near], far[~near], rtol=1e-5)


@pytest.mark.parametrize(
    "loss, value, slope",
    [
        (losses.huber, 9999.5, 1.0),
        (losses.log_cosh, 9999.3069, 1.0),
        (at_level, 1000.0, 0.1),
        (losses.absolute_error, 1e4, 1.0),
        (losses.squared_error, 1e8, 2e4),
    ],
)
def test_they_are_stable_with_large_errors(loss, value, slope):
    actual = jax.value_and_grad(loss)(jnp.array(1e4), jnp.array(0.0))
    np.testing.assert_allclose(actual, (value, slope), rtol=1e-6)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.8])
def test_the_quantile_has_the_least_pinball_loss(level):
    targets = jnp.asarray(RANDOM.normal(size=2001), jnp.float32)
    guesses = jnp.sort(targets)

    def cost(guess):
        return losses.quantile(jnp.full(2001, guess), targets, level=level).mean()

    best = guesses[jax.lax.map(cost, guesses).argmin()]
    np.testing.assert_allclose(best, np.quantile(targets, level), atol=1e-2)


def test_quantile_huber_is_small_where_quantiles_are_those_of_the_targets():
    targets = np.float32(RANDOM.normal(size=(1, 999)))
    levels = (np.arange(5) + 0.5) / 5
    start = jnp.zeros((1, 5))

    @jax.jit
    def descend(quantiles):
        cost = jax.grad(lambda x: losses.quantile_huber(x, targets, delta=0.01).sum())
        return jax.lax.fori_loop(0, 500, lambda _, x: x - 0.1 * cost(x), quantiles)

    expected = np.quantile(targets, levels)
    np.testing.assert_allclose(descend(start)[0], expected, atol=0.02)


def test_quantiles_of_other_distributions_than_the_targets_are_an_error():
    with pytest.raises(UserError, match=r"predictions \[2, 5\] and targets \[3, 5\]"):
        losses.quantile_huber(jnp.zeros((2, 5)), jnp.zeros((3, 5)))


def test_the_quantile_at_one_half_is_half_the_absolute_error():
    expected = losses.absolute_error(X, Y) / 2
    np.testing.assert_allclose(losses.quantile(X, Y, level=0.5), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "loss", [losses.squared_error, losses.absolute_error, losses.huber, losses.log_cosh]
)
def test_what_is_right_is_not_moved(loss):
    assert jax.grad(loss)(jnp.array(2.0), jnp.array(2.0)) == 0


@EVERY
def test_shapes_that_differ_are_not_broadcast(loss):
    with pytest.raises(UserError, match=r"\]: expected "):
        loss(jnp.zeros((4, 1)), jnp.zeros(4))


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, 90, float("nan")])
def test_a_level_lies_between_zero_and_one(level):
    with pytest.raises(ValueError, match="level"):
        losses.quantile(X, Y, level=level)


@pytest.mark.parametrize("delta", [0.0, -1.0, float("nan"), float("inf")])
def test_the_bound_of_huber_is_positive_and_finite(delta):
    with pytest.raises(ValueError, match="delta"):
        losses.huber(X, Y, delta=delta)
