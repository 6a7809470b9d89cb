import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models.generative.autoencoder import (
    Autoencoder,
    conv_autoencoder,
    deep_autoencoder,
)
from fdl.models.pretrained.layer_rules import conv, dense

PROGRAMS = 240

SMALL = {
    "deep": deep_autoencoder(hidden_sizes=(12, 8), code_size=3, input_shape=(4, 4, 1)),
    "convolutional": Autoencoder((9,), 3, features=(4, 6), input_shape=(8, 12, 2)),
}
RULES = [
    *conv("encoder.conv.{i}", "encoder/conv_{i}"),
    *dense("encoder.hidden.{i}", "encoder/mlp/dense_{i}"),
    *dense("encoder.head", "encoder/mlp/head"),
    *dense("decoder.hidden.{i}", "decoder/mlp/dense_{i}"),
    *dense("decoder.head", "decoder/mlp/head"),
    *conv("decoder.conv.{i}", "decoder/conv_{i}"),
]
every_form = pytest.mark.parametrize("name", SMALL)


@pytest.fixture
def case(name, random_variables, random_inputs):
    module = SMALL[name]
    return module, random_variables(module), random_inputs(5, *module.input_shape)


def written_in_torch(torch, name):
    """The two small networks, layer by layer."""
    linear, convolve = torch.nn.Linear, torch.nn.Conv2d
    half = {"kernel_size": 4, "stride": 2, "padding": 1}

    class Deep(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.ModuleDict(
                {
                    "hidden": torch.nn.ModuleList([linear(16, 12), linear(12, 8)]),
                    "head": linear(8, 3),
                }
            )
            self.decoder = torch.nn.ModuleDict(
                {
                    "hidden": torch.nn.ModuleList([linear(3, 8), linear(8, 12)]),
                    "head": linear(12, 16),
                }
            )

        def forward(self, images):
            x = images.permute(0, 2, 3, 1).flatten(1)
            for half in self.encoder, self.decoder:
                for layer in half["hidden"]:
                    x = torch.sigmoid(layer(x))
                x = half["head"](x)
            return x.unflatten(1, (4, 4, 1)).permute(0, 3, 1, 2)

    class Convolutional(torch.nn.Module):
        def __init__(self):
            super().__init__()
            transposed = torch.nn.ConvTranspose2d
            self.encoder = torch.nn.ModuleDict(
                {
                    "conv": torch.nn.ModuleList(
                        [convolve(2, 4, **half), convolve(4, 6, **half)]
                    ),
                    "hidden": torch.nn.ModuleList([linear(36, 9)]),
                    "head": linear(9, 3),
                }
            )
            self.decoder = torch.nn.ModuleDict(
                {
                    "hidden": torch.nn.ModuleList([linear(3, 9)]),
                    "head": linear(9, 36),
                    "conv": torch.nn.ModuleList(
                        [transposed(6, 4, **half), transposed(4, 2, **half)]
                    ),
                }
            )

        def forward(self, images):
            x, relu = images, torch.relu
            for layer in self.encoder["conv"]:
                x = relu(layer(x))
            x = x.permute(0, 2, 3, 1).flatten(1)
            x = self.encoder["head"](relu(self.encoder["hidden"][0](x)))
            x = self.decoder["head"](relu(self.decoder["hidden"][0](x)))
            x = x.unflatten(1, (2, 3, 6)).permute(0, 3, 1, 2)
            for layer in self.decoder["conv"]:
                x = layer(relu(x))
            return x

    return Deep() if name == "deep" else Convolutional()


@every_form
def test_autoencoders_are_those_of_torch(apply, name, case, references):
    module, variables, images = case
    restored = apply(module, variables, images)
    references.agree(name, np.moveaxis(restored, -1, 1))


@pytest.mark.oracle
@every_form
def test_autoencoders_agree_with_torch(
    name, case, torch, agrees_with_torch, references
):
    module, _, images = case
    outputs = agrees_with_torch(
        module,
        written_in_torch(torch, name),
        RULES,
        images,
        to_theirs_outputs=lambda x: jnp.moveaxis(x, -1, 1),
    )
    references.check(name, outputs)


@every_form
def test_encoding_and_decoding_is_restoring(apply, see, case):
    module, variables, images = case
    code = apply(module, variables, images, method="encode")
    decoded = apply(module, variables, code, method="decode")
    restored, seen = see(module, variables, images)
    chex.assert_trees_all_equal(decoded, restored)
    chex.assert_trees_all_equal(seen["code"], code)
    assert code.shape == (5, 3) and decoded.shape == images.shape


def test_a_dense_autoencoder_takes_other_shapes_than_it_decodes(apply, random_inputs):
    module = Autoencoder((8,), 2, activation=nn.tanh)
    features_of_wine = random_inputs(5, 13)
    variables = jax.jit(module.init)(jax.random.key(0), features_of_wine)
    restored = apply(module, variables, features_of_wine)
    told = module.clone(input_shape=(13,))
    code = apply(told, variables, features_of_wine, method="encode")
    decoded = apply(told, variables, code, method="decode")
    chex.assert_trees_all_equal(decoded, restored)


@every_form
def test_bfloat16_is_near_float32(apply, case, assert_close):
    module, variables, images = case
    half = module.clone(dtype="bfloat16")
    restored = apply(half, variables, images)
    assert restored.dtype == jnp.bfloat16
    expected = apply(module, variables, images)
    assert_close(restored.astype("float32"), expected, 0.05)


def test_images_must_halve_as_often_as_it_convolves():
    with pytest.raises(ValueError, match=r"28, 30, 1\): expected .* by 4 for 2"):
        jax.eval_shape(
            conv_autoencoder().init, jax.random.key(0), jnp.zeros((1, 28, 30, 1))
        )
