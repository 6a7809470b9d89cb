"""Noisy dense layers by their definition, from outputs for unit vectors."""

import jax
import jax.numpy as jnp
import numpy as np

from fdl.models import NoisyDense, QNetwork, functional

SIZE, FEATURES = 40, 30
LAYER = NoisyDense(FEATURES)
UNITS = jnp.concatenate([jnp.zeros((1, SIZE)), jnp.eye(SIZE)])


def weights_and_bias(outputs):
    outputs = np.asarray(outputs, np.float64)
    return outputs[1:] - outputs[0], outputs[0]


def test_noise_is_factorised_and_of_the_learned_size():
    params = jax.jit(LAYER.init)(jax.random.key(0), UNITS)["params"]
    np.testing.assert_allclose(params["kernel_std"], 0.5 / np.sqrt(SIZE), rtol=1e-6)
    np.testing.assert_allclose(params["bias_std"], 0.5 / np.sqrt(SIZE), rtol=1e-6)
    std = np.random.default_rng(0).uniform(0.5, 2, size=(SIZE, FEATURES))
    params = {**params, "kernel_std": jnp.float32(std)}

    @jax.jit
    def calls(keys):
        noisy = jax.vmap(lambda key: LAYER.apply({"params": params}, UNITS, rngs=key))
        return LAYER.apply({"params": params}, UNITS), noisy({"noise": keys})

    plain, noisy = calls(jax.random.split(jax.random.key(1), 200))
    kernel, bias = weights_and_bias(plain)  # Without a key, the means.
    np.testing.assert_allclose(kernel, params["kernel"], atol=1e-6)
    np.testing.assert_allclose(bias, params["bias"], atol=1e-6)
    of_inputs, of_outputs = [], []
    for outputs in noisy:
        drawn, drawn_bias = weights_and_bias(outputs)
        right = (drawn_bias - bias) / np.asarray(params["bias_std"])
        noise = (drawn - kernel) / std
        left = noise @ right / (right @ right)
        np.testing.assert_allclose(noise, np.outer(left, right), atol=2e-4)
        of_inputs.append(left)
        of_outputs.append(right)
    for drawn in (of_inputs, of_outputs):
        drawn = np.ravel(drawn)
        # Of sgn(x) √|x|: the square is a half-normal variable.
        assert abs(np.sign(drawn).mean()) < 0.05
        np.testing.assert_allclose((drawn**2).mean(), np.sqrt(2 / np.pi), rtol=0.05)
        np.testing.assert_allclose((drawn**4).mean(), 1, rtol=0.1)


def test_a_noisy_q_network_has_noise_in_all_dense_layers_if_it_has_a_key():
    model = functional(QNetwork(3, (5,), noisy=True, dueling=True))
    variables = jax.jit(model.init)(jax.random.key(0))
    stds = [k for k in jax.tree_util.tree_leaves_with_path(variables)]
    assert sum("std" in jax.tree_util.keystr(path) for path, _ in stds) == 8
    x = jnp.ones((2, 4))
    apply = jax.jit(lambda key: model.apply(variables, x, key=key)[0])
    plain, first, second = apply(None), *map(apply, jax.random.split(jax.random.key(1)))
    assert not np.allclose(first, second)
    # One draw for all rows of a call.
    np.testing.assert_allclose(first[0], first[1], rtol=1e-6)
    np.testing.assert_allclose(plain[0], plain[1], rtol=1e-6)
