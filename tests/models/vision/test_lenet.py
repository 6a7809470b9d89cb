import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models import functional
from fdl.models.pretrained.layer_rules import conv, dense
from fdl.models.pretrained.rules import of_flat_images
from fdl.models.vision.lenet import DIGITS, TABLE, codes_of, lenet5, lenet5_1998

# Table I of the paper, as it is printed: a row for each map of S2.
PRINTED = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""


@pytest.fixture
def images(random_inputs):
    return random_inputs(2, 28, 28, 1)


def test_lenet_as_it_is_taught_is_that_of_torch(
    apply, references, random_variables, images
):
    outputs = apply(lenet5(), random_variables(lenet5()), images)
    references.agree("LeNet-5", outputs)


@pytest.mark.oracle
def test_lenet_as_it_is_taught_agrees_with_torch(
    references, agrees_with_torch, images, torch
):
    from torch import nn

    reference = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU()),
        *(nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )
    rules = [
        *conv("0", "convolution_0"),
        *conv("3", "convolution_1"),
        *dense("7", "dense_0", of_flat_images(16, 5, 5)),
        *dense("9", "dense_1"),
        *dense("11", "head"),
    ]
    references.check("LeNet-5", agrees_with_torch(lenet5(), reference, rules, images))


def convolved(maps, kernel, bias):
    """Correlates [B, H, W, I] with [5, 5, I, O], without padding."""
    windows = np.lib.stride_tricks.sliding_window_view(maps, (5, 5), axis=(1, 2))
    return np.einsum("bhwikl,klio->bhwo", windows, kernel) + bias


def lenet_by_hand(params, images):
    """The paper's section II.B in float64; also the outputs of the layers."""
    p = jax.tree.map(np.float64, params)

    def squash(x):
        return 1.7159 * np.tanh(2 / 3 * x)

    def sampled(x, layer):
        sums = sum(x[:, i::2, j::2] for i in (0, 1) for j in (0, 1))
        return squash(sums * layer["scale"] + layer["bias"])

    s2 = sampled(squash(convolved(images, **p["c1"])), p["s2"])
    kernel = np.zeros((5, 5, 6, 16))
    seen = np.array([[c == "X" for c in row] for row in PRINTED.split()])
    outputs, inputs = np.nonzero(seen.T)
    for n, (i, j) in enumerate(zip(inputs, outputs, strict=True)):
        kernel[:, :, i, j] = p["c3"]["kernel"][:, :, n]
    s4 = sampled(squash(convolved(s2, kernel, p["c3"]["bias"])), p["s4"])
    c5 = squash(convolved(s4, **p["c5"])).reshape(-1, 120)
    f6 = squash(c5 @ p["f6"]["kernel"] + p["f6"]["bias"])
    lines = DIGITS.strip().split("\n")
    drawn = [
        "".join(line[8 * digit : 8 * digit + 7] for line in lines)
        for digit in range(10)
    ]
    codes = np.array([[1.0 if c == "#" else -1.0 for c in d] for d in drawn])
    logits = [[-((x - code) ** 2).sum() for code in codes] for x in f6]
    return logits, {"conv_0": s2, "conv_1": s4, "hidden_0": c5, "hidden_1": f6}


def test_lenet_as_it_was_is_that_of_the_paper(
    apply, see, random_variables, random_inputs
):
    module, images = lenet5_1998(), random_inputs(3, 32, 32, 1)
    variables = random_variables(module)
    see = functools.partial(see, module)
    logits, seen = see(variables, images)
    expected, layers = lenet_by_hand(variables["params"], images)
    np.testing.assert_allclose(logits, expected, rtol=1e-5)
    assert seen.keys() == layers.keys()
    for name, layer in layers.items():
        np.testing.assert_allclose(seen[name], layer, atol=1e-5)
    headless = apply(module.clone(bitmaps=None), variables, images)
    np.testing.assert_allclose(headless, layers["hidden_1"], atol=1e-5)


def test_cross_entropy_with_rubbish_is_the_papers_criterion(
    apply, random_variables, random_inputs
):
    module, images = lenet5_1998(rubbish=-20.0), random_inputs(3, 32, 32, 1)
    variables, labels = random_variables(module), jnp.array([3, 0, 9])
    logits = apply(module, variables, images)
    actual = -jax.nn.log_softmax(logits)[jnp.arange(3), labels]
    penalties, _ = lenet_by_hand(variables["params"], images)
    y = -np.array(penalties)
    others = np.log(np.exp(-20.0) + np.exp(-y).sum(axis=1))  # Equation 9, j = 20.
    np.testing.assert_allclose(actual, y[np.arange(3), labels] + others, rtol=1e-5)


def test_each_drawing_is_taken_for_its_digit():
    codes = codes_of(DIGITS)
    assert codes.shape == (10, 84) and set(codes.ravel()) == {-1, 1}
    distances = ((codes[:, None] - codes[None]) ** 2).sum(axis=-1) / 4
    assert (distances + 84 * np.eye(10)).min() == 12  # Pixels: of 6 and 8.
    assert (distances.argmin(axis=1) == np.arange(10)).all()


def test_maps_see_what_the_papers_table_says():
    printed = np.array([[c == "X" for c in row] for row in PRINTED.split()])
    ours = np.array([[i in seen for seen in TABLE] for i in range(6)])
    np.testing.assert_array_equal(ours, printed)
    shapes = jax.eval_shape(functional(lenet5_1998()).init, jax.random.key(0))
    assert shapes["params"]["c3"]["kernel"].size == 25 * printed.sum() == 1500


def test_weights_begin_between_bounds_by_what_a_unit_sees():
    params = jax.jit(functional(lenet5_1998()).init)(jax.random.key(0))["params"]
    kernels = {name: params[name]["kernel"] for name in ("c1", "c5", "f6")}
    fan_in = {"c1": 25, "c5": 400, "f6": 120}
    for i, columns in ((3, slice(0, 18)), (4, slice(18, 54)), (6, slice(54, 60))):
        kernels[f"c3 of {i}"] = params["c3"]["kernel"][..., columns]
        fan_in[f"c3 of {i}"] = 25 * i
    for name, kernel in kernels.items():
        bound = 2.4 / fan_in[name]
        assert 0.95 * bound < jnp.abs(kernel).max() <= bound, name
        assert abs(kernel.mean()) < 0.2 * bound, name
    assert jnp.abs(params["s4"]["scale"]).max() <= 0.6


def test_bfloat16_computes_near_float32(
    apply, random_variables, random_inputs, assert_close
):
    module, images = lenet5_1998(), random_inputs(2, 32, 32, 1)
    variables = random_variables(module)
    outputs = apply(module.clone(dtype="bfloat16"), variables, images)
    assert outputs.dtype == jnp.bfloat16
    expected = apply(module, variables, images)
    assert_close(np.float32(outputs), expected, 0.05)
    half = functional(module.clone(param_dtype="bfloat16")).init
    params = jax.eval_shape(half, jax.random.key(0))["params"]
    assert {str(x.dtype) for x in jax.tree.leaves(params)} == {"bfloat16"}
