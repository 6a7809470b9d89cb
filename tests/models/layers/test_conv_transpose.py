import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.layers.conv_transpose import ConvTranspose

PROGRAMS = 310

IMAGES = np.random.default_rng(0).normal(size=(3, 5, 4, 2)).astype(np.float32)
every_shape = pytest.mark.parametrize(
    "kernel_size, stride, padding",
    [(2, 2, 0), (4, 2, 1), (4, 1, 0), (3, 2, 1), (5, 3, 2), (2, 3, 0), (1, 1, 0)],
)


def value_and_gradients(function, *args):
    """Outputs, and gradients of a scalar that weighs every one differently."""

    def scalar(*args):
        outputs = function(*args)
        weights = np.cos(np.arange(outputs.size, dtype=np.float32))
        return jnp.sum(outputs * weights.reshape(outputs.shape)), outputs

    every = tuple(range(len(args)))
    gradients, outputs = jax.grad(scalar, every, has_aux=True)(*args)
    return outputs, gradients


def flax_layer(kernel_size, stride, padding, **options):
    return nn.ConvTranspose(
        3,
        (kernel_size,) * 2,
        strides=(stride,) * 2,
        padding=((kernel_size - 1 - padding,) * 2,) * 2,
        transpose_kernel=True,
        **options,
    )


@every_shape
@pytest.mark.some(4)
def test_it_equals_flax_in_values_and_gradients(
    kernel_size, stride, padding, random_variables
):
    ours = ConvTranspose(3, kernel_size, stride, padding)
    flax = flax_layer(kernel_size, stride, padding)
    variables = random_variables(flax, IMAGES)
    chex.assert_trees_all_equal(random_variables(ours, IMAGES), variables)
    actual, expected = jax.jit(
        lambda *args: [
            value_and_gradients(layer.apply, *args) for layer in (ours, flax)
        ]
    )(variables, IMAGES)
    chex.assert_trees_all_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_weights_can_be_mapped_over():
    ours = ConvTranspose(3, 4, 2, 1)
    init = jax.jit(jax.vmap(ours.init, in_axes=(0, None)))
    variables = init(jax.random.split(jax.random.key(0), 2), IMAGES)
    both = jax.jit(jax.vmap(ours.apply, in_axes=(0, None)))(variables, IMAGES)
    flax = jax.jit(flax_layer(4, 2, 1).apply)
    each = [jax.tree.map(lambda x, i=i: np.asarray(x)[i], variables) for i in range(2)]
    expected = np.stack([flax(one, IMAGES) for one in each])
    np.testing.assert_allclose(both, expected, rtol=1e-5, atol=1e-5)


def test_it_computes_in_bfloat16(apply, random_variables):
    layer = ConvTranspose(3, 4, 2, 1, dtype="bfloat16", use_bias=False)
    variables = random_variables(layer, IMAGES)
    outputs = apply(layer, variables, IMAGES)
    assert outputs.dtype == jnp.bfloat16
    assert variables["params"]["kernel"].dtype == jnp.float32
    expected = apply(flax_layer(4, 2, 1, use_bias=False), variables, IMAGES)
    np.testing.assert_allclose(np.float32(outputs), expected, atol=0.05)


@pytest.mark.oracle
@every_shape
def test_it_agrees_with_torch(torch, assert_close, kernel_size, stride, padding):
    layer = ConvTranspose(3, kernel_size, stride, padding)
    kernel = np.random.default_rng(1).normal(size=(kernel_size, kernel_size, 3, 2))
    kernel = kernel.astype(np.float32)
    variables = {"params": {"kernel": kernel, "bias": np.float32([0.5, -1.0, 2.0])}}
    reference = torch.nn.functional.conv_transpose2d(
        torch.tensor(IMAGES.transpose(0, 3, 1, 2)),
        torch.tensor(kernel.transpose(3, 2, 0, 1)),
        torch.tensor(variables["params"]["bias"]),
        stride=stride,
        padding=padding,
    )
    outputs = jax.jit(layer.apply)(variables, IMAGES)
    assert_close(outputs.transpose(0, 3, 1, 2), reference.numpy(), 1e-6)
