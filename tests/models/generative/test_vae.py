import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models import features, functional
from fdl.models.generative.vae import VAE, vae_mnist
from fdl.models.pretrained.layer_rules import conv, dense

SMALL = {
    "dense": vae_mnist(hidden_sizes=(9,), latent_size=3, input_shape=(4, 4, 1)),
    "convolutional": VAE((9,), 3, features=(4, 6), input_shape=(8, 12, 2)),
}
RULES = {
    "dense": [
        *dense("fc1", "encoder/mlp/dense_0"),
        *dense("fc21", "mean"),
        *dense("fc22", "log_var"),
        *dense("fc3", "decoder/mlp/dense_0"),
        *dense("fc4", "decoder/mlp/head"),
    ],
}
RULES["convolutional"] = [
    *RULES["dense"],
    *conv("conv{i}", "encoder/conv_{i}"),
    *conv("deconv{i}", "decoder/conv_{i}"),
]
every_form = pytest.mark.parametrize("name", SMALL)


@pytest.fixture
def case(name, random_variables, random_inputs):
    module = SMALL[name]
    return module, random_variables(module), random_inputs(5, *module.input_shape)


def flat(output):
    """All that comes out, as one array [B, D]."""
    logits = jnp.moveaxis(output.logits, -1, 1).reshape(len(output.mean), -1)
    return jnp.concatenate([logits, output.mean, output.log_var], axis=-1)


def written_in_torch(torch, name):
    """PyTorch's example with logits and the mean of the latents; and convolutions."""
    linear, half = torch.nn.Linear, {"kernel_size": 4, "stride": 2, "padding": 1}
    convolutional = name == "convolutional"
    size = 36 if convolutional else 16

    class Reference(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc21, self.fc22 = linear(size, 9), linear(9, 3), linear(9, 3)
            self.fc3, self.fc4 = linear(3, 9), linear(9, size)
            if convolutional:
                self.conv0 = torch.nn.Conv2d(2, 4, **half)
                self.conv1 = torch.nn.Conv2d(4, 6, **half)
                self.deconv0 = torch.nn.ConvTranspose2d(6, 4, **half)
                self.deconv1 = torch.nn.ConvTranspose2d(4, 2, **half)

        def forward(self, x):
            relu = torch.relu
            if convolutional:
                x = relu(self.conv1(relu(self.conv0(x))))
            h = relu(self.fc1(x.permute(0, 2, 3, 1).flatten(1)))
            mean, log_var = self.fc21(h), self.fc22(h)
            logits = self.fc4(relu(self.fc3(mean)))
            if convolutional:
                h = relu(logits.unflatten(1, (2, 3, 6)).permute(0, 3, 1, 2))
                logits = self.deconv1(relu(self.deconv0(h))).flatten(1)
            return torch.cat([logits, mean, log_var], dim=1)

    return Reference()


@every_form
def test_vaes_are_those_of_torch(apply, name, case, references):
    module, variables, images = case
    references.agree(name, flat(apply(module, variables, images)))


@pytest.mark.oracle
@every_form
def test_vaes_agree_with_torch(name, case, torch, agrees_with_torch, references):
    module, _, images = case
    reference = written_in_torch(torch, name)
    outputs = agrees_with_torch(
        module, reference, RULES[name], images, to_theirs_outputs=flat, train=False
    )
    references.check(name, outputs)


@every_form
def test_training_samples_and_evaluation_takes_the_mean(apply, name, case):
    module, variables, images = case
    model, key = functional(module), jax.random.key(0)
    evaluated, _ = apply(model, variables, images)
    again, _ = apply(model, variables, images, key=key)
    chex.assert_trees_all_equal(evaluated, again)
    mean, _ = apply(module, variables, images, method="encode")
    decoded = apply(module, variables, mean, method="decode")
    chex.assert_trees_all_close(evaluated.logits, decoded, atol=1e-6)

    trained, _ = apply(model, variables, images, key=key, train=True)
    chex.assert_trees_all_close(trained[1:], evaluated[1:], atol=1e-6)
    assert np.abs(trained.logits - evaluated.logits).max() > 0.01
    asked = apply(module, variables, images, sample=True, rngs={"dropout": key})
    chex.assert_trees_all_close(asked, trained, atol=1e-6)
    refused = apply(module, variables, images, train=True, sample=False)
    chex.assert_trees_all_close(refused, evaluated, atol=1e-6)


def test_samples_are_normal_with_the_mean_and_variance_that_come_out(
    apply, see, random_variables
):
    module = SMALL["dense"]
    variables = random_variables(module)
    image = np.random.RandomState(0).uniform(size=(1, 4, 4, 1)).astype(np.float32)
    images = np.repeat(image, 20_000, axis=0)
    output, seen = see(
        module, variables, images, sample=True, rngs={"dropout": jax.random.key(0)}
    )
    noise = (seen["latents"] - output.mean) / np.exp(output.log_var / 2)
    chex.assert_trees_all_close(np.mean(noise, axis=0), np.zeros(3), atol=0.03)
    chex.assert_trees_all_close(np.cov(noise.T), np.eye(3), atol=0.05)
    kurtosis = np.mean(np.power(noise, 4), axis=0)
    chex.assert_trees_all_close(kurtosis, np.full(3, 3.0), atol=0.2)
    decoded = apply(module, variables, seen["latents"], method="decode")
    chex.assert_trees_all_close(decoded, output.logits, atol=1e-5)


def test_gradients_pass_through_the_sample(random_variables, random_inputs):
    """With z = μ + σ ε and σ = exp(log σ² / 2), dz / d log σ² is (z - μ) / 2."""
    module, images = SMALL["dense"], random_inputs(4, 4, 4, 1)
    variables = random_variables(module)
    rngs = {"dropout": jax.random.key(0)}

    def total(bias):
        params = variables["params"] | {
            "log_var": variables["params"]["log_var"] | {"bias": bias}
        }
        output, seen = features(
            module, {"params": params}, images, sample=True, rngs=rngs
        )
        return seen["latents"].sum(), (seen["latents"] - output.mean).sum(axis=0)

    bias = jnp.asarray(variables["params"]["log_var"]["bias"])
    actual, deviation = jax.jit(jax.grad(total, has_aux=True))(bias)
    chex.assert_trees_all_close(actual, deviation / 2, atol=1e-5)


@every_form
def test_bfloat16_is_near_float32(apply, case, assert_close):
    module, variables, images = case
    output = apply(module.clone(dtype="bfloat16"), variables, images)
    assert {x.dtype for x in output} == {jnp.dtype("bfloat16")}
    expected = apply(module, variables, images)
    assert_close(flat(output).astype("float32"), flat(expected), 0.05)
