from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn

from fdl import losses, metrics, objectives
from fdl.errors import UserError
from fdl.types import Model

PROGRAMS = 270

RANDOM = np.random.default_rng(0)
OUTPUTS = RANDOM.normal(size=(9, 2)).astype(np.float32)
TARGETS = (100 + 20 * RANDOM.normal(size=(9, 2))).astype(np.float32)
MASK = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0], np.float32)

# What goes in comes out, times a parameter: so that a batch says its outputs itself.
MODEL = Model(
    lambda key: {"params": {"kernel": jnp.ones(())}},
    lambda variables, x, key=None, train=False: (x * variables["params"]["kernel"], {}),
)
VARIABLES = MODEL.init(jax.random.key(0))


def measured(objective, **batch):
    loss, (_, watched) = jax.jit(objective)(VARIABLES, batch)
    return loss, {name: metric.compute() for name, metric in watched.items()}


@pytest.mark.parametrize(
    "loss, score",
    [
        (losses.absolute_error, sklearn.mean_absolute_error),
        (
            partial(losses.quantile, level=0.9),
            partial(sklearn.mean_pinball_loss, alpha=0.9),
        ),
    ],
)
def test_any_loss_may_be_learnt(loss, score):
    objective = objectives.regression(MODEL, mean=100.0, std=20.0, loss=loss)
    actual, _ = measured(objective, features=OUTPUTS[:, :1], target=TARGETS[:, 0])
    expected = score((TARGETS[:, 0] - 100) / 20, OUTPUTS[:, 0])
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("size", [9, 6])
def test_several_targets_count_the_same(size):
    batch = {"features": OUTPUTS, "target": TARGETS}
    batch |= {} if size == 9 else {"mask": MASK}
    objective = objectives.regression(MODEL, mean=100.0, std=20.0)
    loss, watched = measured(objective, **batch)
    targets, predicted = TARGETS[:size], 100 + 20 * OUTPUTS[:size]
    expected = sklearn.mean_squared_error(targets, predicted) / 20**2
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    expected = sklearn.mean_absolute_error(targets, predicted)
    np.testing.assert_allclose(watched["mae"], expected, rtol=1e-5)


def test_a_loss_may_want_more_than_the_prediction():
    """Mean and log-variance: the likelihood of the standardised target."""
    objective = objectives.regression(
        MODEL, mean=100.0, std=20.0, loss=losses.gaussian_nll
    )
    loss, watched = measured(objective, features=OUTPUTS, target=TARGETS[:, 0])
    mean, log_variance = OUTPUTS.astype(np.float64).T
    scaled = (TARGETS[:, 0] - 100) / 20
    expected = -stats.norm.logpdf(scaled, mean, np.exp(log_variance / 2)).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    expected = sklearn.mean_absolute_error(TARGETS[:, 0], 100 + 20 * mean)
    np.testing.assert_allclose(watched["mae"], expected, rtol=1e-5)


def test_outputs_that_are_no_predictions_are_an_error():
    objective = objectives.regression(MODEL)
    with pytest.raises(UserError, match=r"targets of float32\["):
        objective(VARIABLES, {"features": OUTPUTS, "target": TARGETS[:, 0]})


def test_any_metric_may_be_watched_in_the_units_of_the_targets():
    watch = {"mse": lambda x, y, mask: metrics.mean(losses.squared_error(x, y), mask)}
    objective = objectives.regression(MODEL, mean=100.0, std=20.0, metrics=watch)
    _, watched = measured(objective, features=OUTPUTS, target=TARGETS, mask=MASK)
    assert set(watched) == {"loss", "mse"}
    expected = sklearn.mean_squared_error(TARGETS[:6], 100 + 20 * OUTPUTS[:6])
    np.testing.assert_allclose(watched["mse"], expected, rtol=1e-5)


def test_where_nothing_counts_nothing_is_learnt():
    batch = {"features": OUTPUTS, "target": TARGETS, "mask": np.zeros(9, np.float32)}
    objective = objectives.regression(MODEL)
    (loss, _), grad = jax.value_and_grad(objective, has_aux=True)(VARIABLES, batch)
    assert (loss, grad["params"]["kernel"]) == (0, 0)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"loss": "huber"}, r"^loss of type str: expected a function loss\(outputs"),
        ({"std": 0.0}, "std=0.0: expected a positive number"),
        ({"targets": "targt"}, "no 'targt' in a batch. Did you mean 'target'?"),
        ({"metrics": {"loss": metrics.mean}}, "'loss'.: expected another name"),
    ],
)
def test_mistakes_are_told_in_a_line(options, message):
    with pytest.raises(UserError, match=message):
        objective = objectives.regression(MODEL, **options)
        objective(VARIABLES, {"features": OUTPUTS, "target": TARGETS})


def test_metrics_of_half_precision_are_in_the_units_of_the_targets():
    """Beside a mean of 1000, half precision tells numbers apart that differ by four."""
    objective = objectives.regression(MODEL, mean=1000.0, std=10.0)
    outputs = jnp.array([[0.125], [0.5]], jnp.bfloat16)
    half = {"params": {"kernel": jnp.ones((), jnp.bfloat16)}}
    batch = {"features": outputs, "target": jnp.array([1001.25, 1005.0])}
    _, (_, watched) = objective(half, batch)
    assert watched["mae"].compute() == 0
