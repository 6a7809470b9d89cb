import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.layers import conv, max_pool

IMAGES = np.random.default_rng(0).normal(size=(3, 9, 8, 2)).astype(np.float32)


def gradients(function, *args):
    """Of a scalar that weighs every output differently."""

    def scalar(*args):
        outputs = function(*args)
        return jnp.sum(
            outputs * jnp.cos(jnp.arange(outputs.size)).reshape(outputs.shape)
        )

    return jax.jit(jax.grad(scalar, argnums=tuple(range(len(args)))))(*args)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding": "VALID"},
        {"padding": 2},
        {"padding": ((1, 2), (0, 3))},
        {"strides": (2, 2)},
        {"strides": (2, 3), "padding": "VALID"},
        {"kernel_dilation": (2, 2)},
        {"kernel_dilation": (1, 2), "strides": (2, 1), "padding": 1},
        {"feature_group_count": 2},
        {"input_dilation": (2, 2), "padding": 1},
        {"padding": "CIRCULAR"},
        {"use_bias": False, "dtype": "bfloat16"},
    ],
    ids=str,
)
def test_conv_equals_flax_in_values_and_gradients(options):
    ours, flax = conv(4, (3, 2), **options), nn.Conv(4, (3, 2), **options)
    variables = flax.init(jax.random.key(0), IMAGES)
    chex.assert_trees_all_equal(ours.init(jax.random.key(0), IMAGES), variables)
    tolerance = {"atol": 0.1} if "dtype" in options else {"rtol": 1e-4, "atol": 1e-4}
    chex.assert_trees_all_close(
        jax.jit(ours.apply)(variables, IMAGES),
        jax.jit(flax.apply)(variables, IMAGES),
        **tolerance,
    )
    chex.assert_trees_all_close(
        gradients(ours.apply, variables, IMAGES),
        gradients(flax.apply, variables, IMAGES),
        **tolerance,
    )


@pytest.mark.parametrize("window", [2, 3])
def test_max_pool_equals_flax_in_values_and_gradients(window):
    def flax(x):
        return nn.max_pool(x, (window, window), (window, window))

    def ours(x):
        return max_pool(x, window)

    chex.assert_trees_all_equal(ours(IMAGES), flax(IMAGES))
    chex.assert_trees_all_close(gradients(ours, IMAGES), gradients(flax, IMAGES))
