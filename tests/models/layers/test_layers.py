import functools
import re

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.layers import (
    StochasticDepth,
    conv,
    dense,
    layer_norm,
    local_response_norm,
    max_pool,
    orthogonal,
    tied_logits,
)

PROGRAMS = 440

IMAGES = np.random.default_rng(0).normal(size=(3, 9, 8, 2)).astype(np.float32)


def value_and_gradients(function, *args):
    """Outputs, and gradients of a scalar that weighs every one differently."""

    def scalar(*args):
        outputs = function(*args)
        weights = np.cos(np.arange(outputs.size, dtype=np.float32))
        return jnp.sum(outputs * weights.reshape(outputs.shape)), outputs

    every = tuple(range(len(args)))
    gradients, outputs = jax.grad(scalar, every, has_aux=True)(*args)
    return outputs, gradients


def assert_equal(ours, flax, variables, x, tolerance):
    """Also the values of calls that nobody differentiates."""

    @jax.jit
    def compute(*args):
        learnt = (value_and_gradients(layer.apply, *args) for layer in (ours, flax))
        return *learnt, ours.apply(*args)

    actual, expected, called = compute(variables, x)
    close = functools.partial(chex.assert_trees_all_close, **tolerance)
    close(actual, expected)
    close(called, expected[0])


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
@pytest.mark.some(6)
def test_conv_equals_flax_in_values_and_gradients(options, random_variables):
    ours, flax = conv(4, (3, 2), **options), nn.Conv(4, (3, 2), **options)
    variables = random_variables(flax, IMAGES)
    chex.assert_trees_all_equal(random_variables(ours, IMAGES), variables)
    tolerance = {"atol": 0.1} if "dtype" in options else {"rtol": 1e-4, "atol": 1e-4}
    assert_equal(ours, flax, variables, IMAGES, tolerance)


@pytest.mark.parametrize("shape", [(3, 5), (2, 4, 5), (2, 3, 2, 5), (0, 4, 5)], ids=str)
@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"dtype": "bfloat16"}])
@pytest.mark.some(5)
def test_dense_equals_flax_in_values_and_gradients(shape, options, random_variables):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    ours, flax = dense(4, **options), nn.Dense(4, **options)
    variables = random_variables(flax, x)
    chex.assert_trees_all_equal(random_variables(ours, x), variables)
    tolerance = {"atol": 0.1} if "dtype" in options else {"rtol": 1e-5, "atol": 1e-5}
    assert_equal(ours, flax, variables, x, tolerance)


@pytest.mark.parametrize(
    "ours, flax", [(conv(4, (3, 2)), nn.Conv(4, (3, 2))), (dense(4), nn.Dense(4))]
)
def test_layers_begin_as_those_of_flax(ours, flax):
    init = jax.jit(lambda key: (ours.init(key, IMAGES), flax.init(key, IMAGES)))
    chex.assert_trees_all_equal(*init(jax.random.key(0)))


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_tied_logits_are_what_flax_attends_to(dtype, apply, random_variables):
    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype(np.float32)
    embedding = nn.Embed(7, 5, dtype=dtype)
    variables = random_variables(embedding, np.zeros(1, np.int32))
    flax = apply(embedding, variables, x, method="attend")
    ours = apply(embedding, variables, x, method=tied_logits)
    assert ours.dtype == flax.dtype
    np.testing.assert_allclose(np.float32(ours), np.float32(flax), 1e-5, 1e-5)


@pytest.mark.parametrize("window", [2, 3])
def test_max_pool_equals_flax_in_values_and_gradients(window):
    def flax(x):
        return nn.max_pool(x, (window, window), (window, window))

    def ours(x):
        return max_pool(x, window)

    actual, expected = jax.jit(
        lambda x: [value_and_gradients(f, x) for f in (ours, flax)]
    )(IMAGES)
    chex.assert_trees_all_equal(actual[0], expected[0])
    chex.assert_trees_all_close(actual[1], expected[1])


@pytest.mark.parametrize("stride, padding", [(2, 0), (2, 1), (1, 1), (3, 1), (None, 1)])
def test_max_pool_takes_the_maximum_of_each_window(stride, padding):
    step, around = stride or 3, ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = np.pad(IMAGES, around, constant_values=-np.inf)
    rows, columns = ((n - 3) // step + 1 for n in padded.shape[1:3])
    expected = np.stack(
        [
            [
                padded[:, i : i + 3, j : j + 3].max(axis=(1, 2))
                for j in range(0, step * columns, step)
            ]
            for i in range(0, step * rows, step)
        ]
    )

    @jax.jit
    def pooled(x):
        flax = nn.max_pool(x, (3, 3), (step, step), ((padding, padding),) * 2)
        return max_pool(x, 3, stride, padding), flax

    actual, flax = pooled(IMAGES)
    np.testing.assert_array_equal(actual, expected.transpose(2, 0, 1, 3))
    np.testing.assert_array_equal(actual, flax)


@pytest.mark.parametrize("mean, tolerance", [(0, 1e-6), (1e4, 2e-3)])
def test_layer_norm_is_exact_also_where_the_mean_is_large(mean, tolerance):
    x = np.float32(np.random.default_rng(0).normal(mean, 1, size=(4, 64)))
    scale, bias = np.linspace(0.5, 1, 64), np.linspace(-1, 1, 64)
    variables = {"params": {"scale": jnp.array(scale), "bias": jnp.array(bias)}}
    exact = x.astype(np.float64)
    centred = exact - exact.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    expected = centred / np.sqrt(variance + 1e-5) * scale + bias
    actual = jax.jit(layer_norm(1e-5).apply)(variables, x)
    np.testing.assert_allclose(actual, expected, atol=tolerance)


@pytest.mark.parametrize("size, k, alpha, beta", [(5, 2, 1e-4, 0.75), (3, 1, 0.1, 0.5)])
def test_local_response_norm_is_the_papers_formula(size, k, alpha, beta):
    x = np.float32(10 * np.random.default_rng(0).normal(size=(2, 3, 8)))
    expected = np.zeros(x.shape)
    for i in range(8):
        near = x[..., max(0, i - size // 2) : i + size // 2 + 1].astype(np.float64)
        expected[..., i] = x[..., i] / (k + alpha * (near**2).sum(axis=-1)) ** beta
    options = {"size": size, "k": k, "alpha": alpha, "beta": beta}
    actual = jax.jit(lambda x: local_response_norm(x, **options))(x)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.oracle
def test_local_response_norm_agrees_with_torch_whose_alpha_is_a_mean(
    torch, random_inputs, assert_close
):
    x = 10 * random_inputs(2, 5, 6, 96)
    layer = torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)
    expected = layer(torch.tensor(x).movedim(-1, 1)).movedim(1, -1)
    worst = assert_close(jax.jit(local_response_norm)(x), expected, 1e-5)
    print(f"local_response_norm {worst:.1e}")


def test_stochastic_depth_drops_whole_branches_and_keeps_their_mean():
    x = 1 + np.random.default_rng(0).random((4000, 2, 3), np.float32)
    layer = StochasticDepth(0.3)

    @jax.jit
    def apply(key):
        return layer.apply({}, x, True, rngs={"dropout": key})

    outputs = np.asarray(apply(jax.random.key(0)))
    kept = outputs.any(axis=(1, 2))
    np.testing.assert_allclose(outputs[kept], x[kept] / 0.7, rtol=1e-6)
    assert abs(kept.mean() - 0.7) < 4 * np.sqrt(0.3 * 0.7 / 4000)
    other = np.asarray(apply(jax.random.key(1))).any(axis=(1, 2))
    assert (kept != other).any()
    np.testing.assert_array_equal(layer.apply({}, x, False), x)
    np.testing.assert_array_equal(StochasticDepth(0.0).apply({}, x, True), x)


def test_stochastic_depth_takes_a_rate_that_is_traced():
    x = np.ones((4000, 1), np.float32)

    @jax.jit
    def apply(rate):
        layer = StochasticDepth(rate)
        return layer.apply({}, x, True, rngs={"dropout": jax.random.key(0)})

    np.testing.assert_array_equal(apply(0.0), x)
    np.testing.assert_array_equal(apply(1.0), 0 * x)
    assert abs(apply(0.5).mean() - 1) < 4 / np.sqrt(4000)


def test_a_convolution_of_shifted_images_is_the_shifted_convolution(random_variables):
    images = np.random.default_rng(0).normal(size=(2, 12, 12, 3)).astype(np.float32)
    layer = conv(4, (3, 3), padding=1)
    variables = random_variables(layer, images)
    apply = jax.jit(layer.apply)
    shifted = np.asarray(apply(variables, np.roll(images, (2, 3), axis=(1, 2))))
    expected = np.roll(apply(variables, images), (2, 3), axis=(1, 2))
    inside = (slice(None), slice(3, -1), slice(4, -1))  # What no border has touched.
    np.testing.assert_allclose(shifted[inside], expected[inside], atol=1e-6)
    assert not np.allclose(shifted, expected, atol=1e-3)


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (3, 3, 2, 8)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.some(4)
def test_orthogonal_kernels_are_those_of_jax_rounded(shape, dtype):
    @jax.jit
    def draw(key):
        theirs = jax.nn.initializers.orthogonal(2**0.5)
        return orthogonal(2**0.5)(key, shape, dtype), theirs(key, shape, "float32")

    kernel, expected = draw(jax.random.key(0))
    assert kernel.dtype == dtype
    np.testing.assert_array_equal(kernel, expected.astype(dtype))


def test_orthogonal_kernels_of_several_seeds_are_decomposed_one_by_one():
    # Two batched decompositions at once deadlock on two CPU cores.
    keys = jax.random.split(jax.random.key(0), 3)
    draw = functools.partial(orthogonal(), shape=(4, 4))
    expected = jax.vmap(jax.nn.initializers.orthogonal(), (0, None))(keys, (4, 4))
    np.testing.assert_array_equal(jax.vmap(draw)(keys), expected)
    program = str(jax.make_jaxpr(jax.vmap(draw))(keys))
    assert re.findall(r"f32\[([\d,]*)\] = qr\[", program) == ["4,4"]
