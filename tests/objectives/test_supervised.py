import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as sklearn

from fdl import models, objectives

PROGRAMS = 190

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(9, 4)).astype(np.float32)
LABELS = RANDOM.integers(3, size=9)
TARGETS = (100 + 20 * RANDOM.normal(size=9)).astype(np.float32)
MASK = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0], np.float32)


def measured(make, batch, num_outputs):
    model = models.functional(models.MLP((5,), num_outputs), X)
    variables = jax.jit(model.init)(jax.random.key(0))
    loss, (_, metrics) = jax.jit(make(model))(variables, batch)
    outputs = np.asarray(jax.jit(model.apply)(variables, X)[0], np.float64)
    return loss, {n: m.compute() for n, m in metrics.items()}, outputs


@pytest.mark.parametrize("size", [9, 6])
def test_classification_equals_scikit_learn(size):
    batch = {"features": X, "label": LABELS}
    batch |= {} if size == 9 else {"mask": MASK}
    loss, metrics, logits = measured(
        lambda model: objectives.classification(model, inputs="features"), batch, 3
    )
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = sklearn.log_loss(LABELS[:size], probabilities[:size], labels=range(3))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert loss == metrics["loss"]
    expected = sklearn.accuracy_score(LABELS[:size], logits.argmax(-1)[:size])
    np.testing.assert_allclose(metrics["accuracy"], expected, rtol=1e-6)


@pytest.mark.parametrize("size", [9, 6])
def test_regression_learns_standardised_and_reports_in_the_units_of_the_targets(size):
    batch = {"features": X, "target": TARGETS}
    batch |= {} if size == 9 else {"mask": MASK}
    loss, metrics, outputs = measured(
        lambda model: objectives.regression(model, mean=100.0, std=20.0), batch, 1
    )
    predicted = outputs[:size, 0] * 20 + 100
    expected = sklearn.mean_squared_error(TARGETS[:size], predicted) / 20**2
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    expected = sklearn.mean_absolute_error(TARGETS[:size], predicted)
    np.testing.assert_allclose(metrics["mae"], expected, rtol=1e-5)


def test_reconstruction_compares_with_the_inputs():
    model = models.functional(models.Autoencoder((), 2), X)
    variables = jax.jit(model.init)(jax.random.key(0))
    batch = {"features": X, "mask": MASK}
    objective = objectives.reconstruction(model, inputs="features")
    loss, _ = jax.jit(objective)(variables, batch)
    restored, _ = jax.jit(model.apply)(variables, X)
    np.testing.assert_allclose(loss, np.mean((restored - X)[:6] ** 2), rtol=1e-5)


def test_padding_changes_no_gradient():
    model = models.functional(models.MLP((5,), 3), X)
    objective = objectives.classification(model, inputs="features")
    variables = jax.jit(model.init)(jax.random.key(0))

    @jax.jit
    def grad(batch):
        return jax.grad(lambda v: objective(v, batch)[0])(variables)

    padded = {"features": jnp.asarray(X), "label": LABELS, "mask": MASK}
    alone = {"features": jnp.asarray(X[:6]), "label": LABELS[:6]}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
        grad(padded),
        grad(alone),
    )
