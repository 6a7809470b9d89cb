import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models


def test_an_mlp_is_the_chain_of_its_layers():
    x = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    model = models.pure(models.MLP((4, 6), 2, activation=jnp.tanh), x)
    variables = model.init(jax.random.key(0))
    outputs, model_state = jax.jit(model.apply)(variables, x)
    expected = x.reshape(5, 6).astype(np.float64)
    for i in range(3):
        layer = variables["params"][f"Dense_{i}"]
        expected = expected @ np.float64(layer["kernel"]) + np.float64(layer["bias"])
        expected = np.tanh(expected) if i < 2 else expected
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert model_state == {}


def test_dropout_is_off_in_evaluation_and_follows_its_key_in_training():
    x = jnp.ones((3, 4))
    model = models.pure(models.MLP((32,), 2, dropout=0.5), x)
    variables = model.init(jax.random.key(0))
    plain = models.pure(models.MLP((32,), 2), x)
    same, _ = model.apply(variables, x, key=jax.random.key(1))
    np.testing.assert_array_equal(same, plain.apply(variables, x)[0])
    one, again, other = (
        model.apply(variables, x, key=jax.random.key(seed), train=True)[0]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any() and (one != same).any()


def test_an_autoencoder_keeps_shapes_and_passes_only_its_code():
    x = np.random.default_rng(0).normal(size=(7, 4, 4, 1)).astype(np.float32)
    model = models.pure(models.Autoencoder((), code_size=2), x)
    variables = model.init(jax.random.key(0))
    outputs, _ = model.apply(variables, x)
    assert outputs.shape == x.shape
    centred = np.asarray(outputs).reshape(7, 16) - np.asarray(outputs).reshape(7, 16)[0]
    assert np.linalg.matrix_rank(centred, tol=1e-4) == 2


@pytest.mark.parametrize("name", ["MLP", "CNN"])
def test_bfloat16_computes_near_float32_and_keeps_its_parameters(name):
    x = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype(np.float32)
    options = {"hidden_sizes": (16,), "num_outputs": 3}
    if name == "CNN":
        options["features"] = (4,)
    module = getattr(models, name)
    full = models.pure(module(**options), x)
    half = models.pure(module(**options, dtype="bfloat16"), x)
    variables = half.init(jax.random.key(0))
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    outputs, _ = half.apply(variables, x)
    assert outputs.dtype == jnp.bfloat16
    expected, _ = full.apply(variables, x)
    np.testing.assert_allclose(np.float32(outputs), expected, atol=0.05)
