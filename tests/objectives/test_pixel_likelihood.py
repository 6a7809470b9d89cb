import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import objectives
from fdl.errors import UserError
from fdl.models.layers.pixel_values import pixel_values
from fdl.types import Model

RANDOM = np.random.default_rng(0)


def constant(logits):
    """A model of the same logits for all images."""
    return Model(
        lambda key: {"params": {"logits": jnp.asarray(logits, jnp.float32)}},
        lambda variables, x, key=None, train=False: (
            jnp.broadcast_to(
                variables["params"]["logits"], (len(x), *np.shape(logits))
            ),
            {},
        ),
    )


def measured(logits, batch):
    model = constant(logits)
    variables = model.init(jax.random.key(0))
    objective = objectives.pixel_likelihood(model)
    (loss, (_, metrics)), grads = jax.jit(jax.value_and_grad(objective, has_aux=True))(
        variables, batch
    )
    return loss, metrics, grads["params"]["logits"]


@pytest.mark.parametrize("num_values", [2, 17])
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_it_is_the_sum_of_logs_of_probabilities_over_pixels(num_values, dtype):
    logits = RANDOM.normal(size=(2, 3, 1, num_values))
    values = RANDOM.integers(num_values, size=(4, 2, 3, 1))
    images = values / (num_values - 1) if dtype == "float32" else values
    mask = np.array([1, 0, 1, 0.5], np.float32)
    batch = {"image": images.astype(dtype), "mask": mask}
    loss, metrics, _ = measured(logits, batch)
    shares = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    nats = [
        -sum(math.log(shares[(*i, v[i])]) for i in np.ndindex(2, 3, 1)) for v in values
    ]
    expected = np.average(nats, weights=mask)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss"].compute(), expected, rtol=1e-5)
    bits = expected / math.log(2) / 6
    np.testing.assert_allclose(metrics["bits_per_dim"].compute(), bits, rtol=1e-5)


def test_a_uniform_model_has_the_bits_of_its_values():
    values = RANDOM.integers(16, size=(3, 4, 4, 1))
    _, metrics, _ = measured(np.zeros((4, 4, 1, 16)), {"image": values})
    np.testing.assert_allclose(metrics["bits_per_dim"].compute(), 4.0, rtol=1e-6)


def test_where_nothing_counts_nothing_is_learnt():
    batch = {"image": np.full((2, 1, 1, 1), 7), "mask": np.zeros(2, np.float32)}
    loss, metrics, grad = measured(np.ones((1, 1, 1, 2)), batch)
    assert loss == 0 and not grad.any()
    assert np.isnan(metrics["loss"].compute())


def test_values_that_are_none_are_nan_unless_masked():
    images = np.float32([0.0, 1.5]).reshape(2, 1, 1, 1)
    logits = np.zeros((1, 1, 1, 2))
    loss, _, _ = measured(logits, {"image": images})
    assert np.isnan(loss)
    mask = np.float32([1, 0])
    loss, _, _ = measured(logits, {"image": images, "mask": mask})
    np.testing.assert_allclose(loss, math.log(2), rtol=1e-6)


def test_huge_logits_stay_finite():
    logits = np.float32([-1e30, 1e30]).reshape(1, 1, 1, 2)
    loss, _, _ = measured(logits, {"image": np.ones((1, 1, 1, 1), int)})
    assert loss == 0


def test_models_of_other_outputs_are_told():
    with pytest.raises(UserError, match=r"outputs of the model \[2, 5\]: expected log"):
        measured(np.zeros(5), {"image": np.zeros((2, 1, 1, 1), int)})


def test_pixels_that_are_not_from_0_to_1_have_no_value():
    pixels = jnp.array([jnp.nan, -0.02, 1.02, 0.5, 1.0])
    assert pixel_values(pixels, 17).tolist() == [-1, -1, -1, 8, 16]
