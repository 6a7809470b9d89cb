import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models import functional
from fdl.models.cnn import CNN
from fdl.models.pretrained.layer_rules import conv, dense
from fdl.models.pretrained.resnet import batch_norm
from fdl.models.pretrained.rules import of_flat_images

PROGRAMS = 120

NORM = functools.partial(nn.BatchNorm, momentum=0.9)
FORMS = {
    "plain": CNN((4, 6), (16, 16), 3, input_shape=(11, 10, 2)),
    "padded": CNN(
        (4, 6), (16, 16), 3, 5, (3, "VALID"), nn.tanh, input_shape=(14, 12, 2)
    ),
    "batch norm": CNN((4, 6), (16, 16), 3, norm=NORM, input_shape=(11, 10, 2)),
}
FLAT = {"plain": (6, 2, 2), "padded": (6, 2, 1), "batch norm": (6, 2, 2)}
every_form = pytest.mark.parametrize("form", FORMS)


def images_for(form, random_inputs):
    return random_inputs(16, *FORMS[form].input_shape)


@every_form
def test_cnns_are_those_of_torch(
    apply, form, references, random_inputs, random_variables
):
    module, images = FORMS[form], images_for(form, random_inputs)
    references.agree(form, apply(module, random_variables(module), images))


@pytest.mark.oracle
@every_form
def test_cnns_agree_with_torch(
    form, references, agrees_with_torch, random_inputs, torch
):
    layers, normed = torch.nn, form == "batch norm"
    kernel, *paddings = (5, 3, 0) if form == "padded" else (3, 1, 1)
    norm_2d = layers.BatchNorm2d if normed else lambda size: layers.Identity()
    norm_1d = layers.BatchNorm1d if normed else lambda size: layers.Identity()
    activation = layers.Tanh() if form == "padded" else layers.ReLU()
    named = {}
    for i, (inputs, outputs) in enumerate(((2, 4), (4, 6))):
        named[f"convolution_{i}"] = layers.Conv2d(
            inputs, outputs, kernel, padding=paddings[i]
        )
        named[f"convolution_norm_{i}"] = norm_2d(outputs)
        named[f"convolution_activation_{i}"] = activation
        named[f"pool_{i}"] = layers.MaxPool2d(2)
    named["flat"] = layers.Flatten()
    for i, (inputs, outputs) in enumerate(((int(np.prod(FLAT[form])), 16), (16, 16))):
        named[f"dense_{i}"] = layers.Linear(inputs, outputs)
        named[f"norm_{i}"] = norm_1d(outputs)
        named[f"activation_{i}"] = activation
    named["head"] = layers.Linear(16, 3)
    reference = layers.Sequential()
    for name, layer in named.items():
        reference.add_module(name, layer)
    rules = [
        *conv("convolution_{i}", "convolution_{i}"),
        *batch_norm("convolution_norm_{i}", "convolution_norm_{i}"),
        *dense("dense_0", "dense_0", of_flat_images(*FLAT[form])),
        *dense("dense_1", "dense_1"),
        *batch_norm("norm_{i}", "norm_{i}"),
        *dense("head", "head"),
    ]
    module, images = FORMS[form], images_for(form, random_inputs)
    outputs = agrees_with_torch(module, reference, rules, images, train=not normed)
    references.check(form, outputs)
    if normed:
        # In training, biases in front of a norm have no gradient but rounding: more
        # digits show it. Flax keeps statistics in float32.
        reference.zero_grad()
        with jax.enable_x64():
            module, images = module.clone(param_dtype="float64"), np.float64(images)
            tolerances = {"tolerance": 1e-6, "gradient_tolerance": 1e-6}
            agrees_with_torch(module, reference.double(), rules, images, **tolerances)


def test_shifted_images_give_shifted_maps(see, random_inputs, random_variables):
    """By as many pixels as are pooled to one, and where no border is near."""
    images, module = random_inputs(2, 32, 32, 1), CNN((3, 4), (), None)
    see = functools.partial(see, module)
    variables = random_variables(module, images)
    _, seen = see(variables, images)
    _, shifted = see(variables, np.roll(images, (4, 8), axis=(1, 2)))
    for name, down, right in (("conv_0", 2, 4), ("conv_1", 1, 2)):
        expected = np.roll(seen[name], (down, right), axis=(1, 2))
        assert not np.allclose(shifted[name], expected, atol=0.1)
        inside = (slice(None), slice(down + 1, -1), slice(right + 1, -1))
        np.testing.assert_allclose(shifted[name][inside], expected[inside], atol=1e-6)


def test_pooled_maps_are_dropped_in_training_alone(
    apply, random_inputs, random_variables
):
    module, images = FORMS["plain"], images_for("plain", random_inputs)
    variables = random_variables(module)
    blind = functional(module.clone(pooled_dropout=1.0))
    trained, _ = apply(blind, variables, images, key=jax.random.key(0), train=True)
    nothing = jax.tree.map(np.zeros_like, variables["params"]["convolution_1"])
    params = {**variables["params"], "convolution_1": nothing}
    np.testing.assert_allclose(trained, apply(module, {"params": params}, images))
    evaluated, _ = apply(blind, variables, images)
    np.testing.assert_array_equal(evaluated, apply(module, variables, images))
    assert not np.allclose(evaluated, trained)


def test_hidden_units_are_dropped_in_training_alone(
    apply, random_inputs, random_variables
):
    module, images = FORMS["plain"], images_for("plain", random_inputs)
    variables = random_variables(module)
    blind = functional(module.clone(dropout=1.0))
    trained, _ = apply(blind, variables, images, key=jax.random.key(0), train=True)
    bias = variables["params"]["head"]["bias"]
    np.testing.assert_allclose(trained, np.broadcast_to(bias, (16, 3)))
    evaluated, _ = apply(blind, variables, images)
    np.testing.assert_array_equal(evaluated, apply(module, variables, images))


def test_initialisers_are_those_of_all_layers_and_of_the_readout():
    fill = nn.initializers.constant
    inits = {"kernel_init": fill(1), "bias_init": fill(2), "head_init": (fill(3),) * 2}
    init = jax.jit(functional(FORMS["plain"].clone(**inits)).init)
    params = init(jax.random.key(0))["params"]
    for name, layer in params.items():
        kernel, bias = (3, 3) if name == "head" else (1, 2)
        assert (layer["kernel"] == kernel).all() and (layer["bias"] == bias).all()


def test_bfloat16_computes_near_float32_and_keeps_its_parameters(
    apply, random_inputs, assert_close
):
    images, module = images_for("batch norm", random_inputs), FORMS["batch norm"]
    half = module.clone(dtype="bfloat16")
    variables = jax.jit(functional(half).init)(jax.random.key(0))
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    outputs = apply(half, variables, images)
    assert outputs.dtype == jnp.bfloat16
    expected = apply(module, variables, images)
    assert_close(np.float32(outputs), expected, 0.05)
