import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.errors import UserError
from fdl.models import PixelCNN, PixelTransformer
from fdl.models.layers.pixel_values import pixel_values

SHAPE = (4, 5, 1)
MODELS = {
    "pixelcnn": PixelCNN(3, 4, 3, first_kernel_size=5, input_shape=SHAPE),
    "transformer": PixelTransformer(3, 1, 2, 8, input_shape=SHAPE),
}
every_model = pytest.mark.parametrize("name", MODELS)


def images_of(count, seed=0, shape=SHAPE, num_values=3):
    return np.random.RandomState(seed).randint(num_values, size=(count, *shape))


@every_model
def test_a_pixel_depends_on_all_pixels_before_it_and_on_no_other(
    name, apply, random_variables
):
    """To the bit: row i of a batch has pixel i changed, and nothing else."""
    module, size = MODELS[name], 20
    variables = random_variables(module)
    base = np.repeat(images_of(1), size, axis=0)
    changed = base.reshape(size, size).copy()
    changed[np.arange(size), np.arange(size)] += 1
    changed = changed.reshape(base.shape) % 3
    before, after = (apply(module, variables, x) for x in (base, changed))
    assert before.shape == (size, *SHAPE, 3)
    differs = (before != after).reshape(size, size, 3).any(axis=-1)
    np.testing.assert_array_equal(differs, np.triu(np.ones((size, size)), k=1))


def convolve(images, kernel, bias):
    """Convolution of a whole, odd kernel with zeros around the images, by loops."""
    reach = kernel.shape[0] // 2
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
    height, width = images.shape[1:3]
    taps = [
        padded[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(kernel.shape[0])
        for j in range(kernel.shape[1])
    ]
    return sum(taps) + bias


def masked(params, size, rows, columns):
    """The whole kernel of a masked convolution, zero where the mask is."""
    kernel = np.zeros((size, size, *params["kernel"].shape[2:]))
    kernel[rows, columns] = params["kernel"]
    return kernel


def gate(x):
    a, b = np.split(x, 2, axis=-1)
    return np.tanh(a) / (1 + np.exp(-b))


def dense(params, x):
    return x @ params["kernel"] + params["bias"]


def gated_pixelcnn(params, values, first_size, size):
    """Figure 2 of the paper, with masks of whole kernels, in float64."""
    v = h = params["embedding"]["embedding"][values[..., 0]]
    for i in range(3):
        layer, k = params[f"layers_{i}"], size if i else first_size
        middle = k // 2
        up = masked(layer["vertical"], k, slice(0, middle + 1), slice(None))
        own = 1 if i else 0
        left = masked(
            layer["horizontal"], k, slice(middle, middle + 1), slice(0, middle + own)
        )
        above = convolve(v, up, layer["vertical"]["bias"])
        below = np.zeros_like(above)
        below[:, 1:] = above[:, :-1]
        x = convolve(h, left, layer["horizontal"]["bias"]) + dense(layer["link"], below)
        x = dense(layer["output"], gate(x))
        v, h = gate(above), x + h if i else x
    x = np.maximum(dense(params["hidden"], np.maximum(h, 0)), 0)
    return dense(params["head"], x)


def test_it_is_the_gated_pixelcnn_of_whole_masked_kernels(
    apply, random_variables, assert_close
):
    module, images = MODELS["pixelcnn"], images_of(2)
    variables = random_variables(module)
    wide = jax.tree.map(np.float64, variables["params"])
    expected = gated_pixelcnn(wide, images, 5, 3)[..., None, :]
    assert_close(apply(module, variables, images), expected, 1e-5)


@every_model
def test_pixels_from_0_to_1_are_their_values(name, apply, random_variables):
    module, images = MODELS[name], images_of(2)
    variables = random_variables(module)
    scaled = (images / 2).astype(np.float32)
    np.testing.assert_array_equal(
        apply(module, variables, scaled), apply(module, variables, images)
    )


@pytest.mark.parametrize("num_values", [2, 17, 256])
def test_scaling_to_1_and_back_keeps_each_value(num_values):
    values = np.arange(num_values)
    scaled = jnp.asarray(values / (num_values - 1), jnp.float32)
    np.testing.assert_array_equal(pixel_values(scaled, num_values), values)
    np.testing.assert_array_equal(pixel_values(values, num_values), values)


@every_model
def test_bfloat16_is_near_float32(name, apply, random_variables, assert_close):
    module, images = MODELS[name], images_of(2)
    variables = random_variables(module)
    actual = apply(module.clone(dtype="bfloat16"), variables, images)
    assert actual.dtype == jnp.bfloat16
    expected = apply(module, variables, images)
    assert_close(actual.astype("float32"), expected, 0.05)


@pytest.mark.parametrize(
    "module, shape, expected",
    [
        (MODELS["pixelcnn"].clone(kernel_size=4), SHAPE, "kernel_size=4: expected an"),
        (
            MODELS["pixelcnn"],
            (4, 5, 3),
            r"images.shape=\[1, 4, 5, 3\]: expected \[B, H",
        ),
        (MODELS["transformer"], (5, 4, 1), r"images.shape=\[1, 5, 4, 1\]: expected \["),
    ],
)
def test_odd_requests_are_told_in_one_line(module, shape, expected):
    images = jnp.zeros((1, *shape), int)
    with pytest.raises(UserError, match=expected) as caught:
        jax.eval_shape(module.init, jax.random.key(0), images)
    assert "\n" not in str(caught.value)
