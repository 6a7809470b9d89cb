import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models import functional
from fdl.models.vision import nielsen


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("make", [nielsen.nielsen_shallow, nielsen.nielsen_deep])
def test_dense_networks_feed_forward_as_in_the_book(
    apply, make, random_inputs, random_variables
):
    images = random_inputs(3, 28, 28, 1)
    params = random_variables(make())["params"]
    logits = apply(make(), {"params": params}, images)
    for image, outputs in zip(images, logits, strict=True):
        a = np.float64(image.reshape(784, 1))
        for layer in params.values():
            a = sigmoid(layer["kernel"].T @ a + layer["bias"][:, None])
        np.testing.assert_allclose(sigmoid(np.float64(outputs)), a[:, 0], rtol=1e-5)


@pytest.mark.parametrize(
    "make, activation",
    [
        (nielsen.nielsen_conv1_only, sigmoid),
        (nielsen.nielsen_conv1, sigmoid),
        (nielsen.nielsen_conv2, sigmoid),
        (nielsen.nielsen_conv2_two_hidden, lambda x: np.maximum(x, 0)),
    ],
)
def test_convolutional_networks_pool_and_then_activate(
    apply, make, activation, random_inputs, random_variables
):
    """As in the book; activations grow, so that either order gives the same."""
    images = random_inputs(2, 28, 28, 1)
    params = random_variables(make())["params"]
    x = np.float64(images)
    convolutions = [name for name in params if name.startswith("convolution")]
    for layer in (params[name] for name in convolutions):
        windows = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(1, 2))
        x = np.einsum("bhwikl,klio->bhwo", windows, layer["kernel"])
        b, h, w, c = x.shape
        x = x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4)) + layer["bias"]
        x = activation(x)
    x = x.reshape(2, -1)
    for name in sorted(params.keys() - set(convolutions)):
        layer = params[name]
        x = x @ layer["kernel"] + layer["bias"]
        x = x if name == "head" else activation(x)
    outputs = apply(make(), {"params": params}, images)
    np.testing.assert_allclose(outputs, x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("large, std", [(True, 1), (False, 784**-0.5)])
def test_the_first_initialisation_is_wide_and_the_better_one_by_inputs(large, std):
    module = nielsen.nielsen_shallow(500, large=large)
    params = jax.jit(functional(module).init)(jax.random.key(0))["params"]
    np.testing.assert_allclose(jnp.std(params["dense_0"]["kernel"]), std, rtol=0.01)
    np.testing.assert_allclose(jnp.std(params["dense_0"]["bias"]), 1, rtol=0.1)
    std = 1 if large else 500**-0.5
    np.testing.assert_allclose(jnp.std(params["head"]["kernel"]), std, rtol=0.05)


def test_convolutional_networks_begin_by_what_they_give_out():
    module = nielsen.nielsen_conv2_dropout()
    params = jax.jit(functional(module).init)(jax.random.key(0))["params"]
    outputs = {  # Those of a convolution are pooled.
        "convolution_0": 20 * 25 / 4,
        "convolution_1": 40 * 25 / 4,
        "dense_0": 1000,
        "dense_1": 1000,
    }
    for name, count in outputs.items():
        std = jnp.std(params[name]["kernel"])
        np.testing.assert_allclose(std, count**-0.5, rtol=0.1)
    np.testing.assert_allclose(jnp.std(params["dense_0"]["bias"]), 1, rtol=0.1)
    assert not params["head"]["kernel"].any() and not params["head"]["bias"].any()


def test_the_best_network_drops_in_front_of_all_three_dense_layers():
    module = nielsen.nielsen_conv2_dropout()
    assert (module.pooled_dropout, module.dropout) == (0.5, 0.5)
    assert nielsen.nielsen_conv2_dropout(dropout=0.1).dropout == 0.1
