import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.models.generative.dcgan import DCGANDiscriminator, DCGANGenerator
from fdl.models.pretrained.resnet import batch_norm
from fdl.models.pretrained.rules import CONV, Rule

GENERATOR = DCGANGenerator(image_size=16, latent_size=6, width=4)
DISCRIMINATOR = DCGANDiscriminator(image_size=16, width=4)


def test_the_generator_is_that_of_the_paper(
    apply, references, random_variables, random_inputs
):
    variables, latents = random_variables(GENERATOR), random_inputs(3, 6)
    images = apply(GENERATOR, variables, latents)
    assert images.shape == (3, 16, 16, 3)
    references.agree("generator", np.moveaxis(images, -1, 1))


def test_the_discriminator_is_that_of_the_paper(
    apply, references, random_variables, random_inputs
):
    images, variables = random_inputs(3, 16, 16, 3), random_variables(DISCRIMINATOR)
    logits = apply(DISCRIMINATOR, variables, images)
    assert logits.shape == (3,)
    references.agree("discriminator", jax.nn.sigmoid(logits))


def test_each_is_the_mirror_of_the_other(random_variables, random_inputs):
    def shapes(module, inputs):
        run = jax.jit(lambda *args: models.features(module, *args)[1])
        seen = run(random_variables(module), inputs)
        return [seen[name].shape for name in sorted(seen)]

    painted = shapes(GENERATOR, random_inputs(2, 6))
    assert painted == [(2, 4, 4, 8), (2, 8, 8, 4)]
    assert shapes(DISCRIMINATOR, random_inputs(2, 16, 16, 3)) == painted[::-1]


@pytest.mark.parametrize(
    "module",
    [
        pytest.param(DCGANGenerator(width=32), marks=pytest.mark.slow, id="G"),
        pytest.param(DCGANDiscriminator(width=32), id="D"),
    ],
)
def test_weights_begin_small_and_normal(module):
    variables = jax.jit(models.functional(module).init)(jax.random.key(0))
    leaves = jax.tree.leaves_with_path(variables["params"])
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path)
        mean = 1 if "scale" in name else 0
        std = 0 if "bias" in name else 0.02
        assert np.mean(leaf) == pytest.approx(mean, abs=0.01), name
        assert np.std(leaf) == pytest.approx(std, rel=0.3), name


@pytest.mark.parametrize("module", [GENERATOR, DISCRIMINATOR], ids=["G", "D"])
def test_bfloat16_is_close(apply, module, random_variables, random_inputs):
    inputs = random_inputs(2, *module.example()[0].shape[1:])
    variables = random_variables(module)
    outputs = apply(module.clone(dtype="bfloat16"), variables, inputs)
    expected = apply(module, variables, inputs)
    assert outputs.dtype == jnp.bfloat16
    worst = np.max(np.abs(outputs.astype(jnp.float32) - expected))
    assert worst < 0.05 * np.max(np.abs(expected))


@pytest.mark.parametrize("size", [4, 48])
@pytest.mark.parametrize("module", [GENERATOR, DISCRIMINATOR], ids=["G", "D"])
def test_sizes_that_are_no_power_of_two_are_named(module, size):
    module = module.clone(image_size=size)
    with pytest.raises(ValueError, match=f"image_size={size}: expected a power"):
        jax.eval_shape(models.functional(module).init, jax.random.key(0))


def test_training_moves_the_running_statistics_by_a_tenth(
    random_variables, random_inputs
):
    variables, latents = random_variables(GENERATOR), random_inputs(5, 6)
    run = jax.jit(functools.partial(models.functional(GENERATOR).apply, train=True))
    after = run(variables, latents)[1]["batch_stats"]["bn0"]
    # One pixel is painted with one patch.
    kernel = variables["params"]["conv0"]["kernel"].astype(np.float64)
    seen = np.einsum("bz,xyfz->bxyf", latents, kernel).reshape(-1, 8)
    before = variables["batch_stats"]["bn0"]
    for name, of_batch in [("mean", seen.mean(0)), ("var", seen.var(0))]:
        expected = 0.9 * before[name] + 0.1 * of_batch
        np.testing.assert_allclose(after[name], expected, rtol=1e-5, atol=1e-6)


def test_what_fools_the_discriminator_has_finite_gradients(
    random_variables, random_inputs
):
    generator, discriminator = (
        models.functional(GENERATOR),
        models.functional(DISCRIMINATOR),
    )
    painter, judge = random_variables(GENERATOR), random_variables(DISCRIMINATOR)

    @jax.jit
    @jax.grad
    def gradients(params):
        painted = generator.apply(
            {**painter, "params": params}, random_inputs(4, 6), train=True
        )
        logits, _ = discriminator.apply(judge, painted[0], train=True)
        return jax.nn.softplus(-logits).mean()

    for leaf in jax.tree.leaves(gradients(painter["params"])):
        assert np.isfinite(leaf).all() and leaf.any()


# The networks of PyTorch's examples, for images of any size.


def torch_generator(torch, num_stages, latents=6, width=4):
    nn, layers, sizes = torch.nn, [], [latents]
    sizes += [width * 2**i for i in reversed(range(num_stages))]
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        stride, padding = (1, 0) if i == 0 else (2, 1)
        options = {"stride": stride, "padding": padding, "bias": False}
        layers += [
            nn.ConvTranspose2d(inputs, outputs, 4, **options),
            nn.BatchNorm2d(outputs),
            nn.ReLU(True),
        ]
    last = nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False)
    return nn.Sequential(*layers, last, nn.Tanh())


def torch_discriminator(torch, num_stages, width=4):
    nn, layers = torch.nn, []
    sizes = [3, *(width * 2**i for i in range(num_stages))]
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False))
        if i > 0:
            layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    layers += [nn.Conv2d(sizes[-1], 1, 4, 1, 0, bias=False), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Flatten(0))


def rules(torch, reference):
    """Our names of the layers, which are counted in both."""
    found, i = [], -1
    layers = [*enumerate(reference)]
    for n, layer in layers:
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            i += 1
            last = not any(hasattr(later, "weight") for _, later in layers[n + 1 :])
            ours = "head" if last else f"conv{i}"
            found.append(Rule(f"{n}.weight", f"params/{ours}/kernel", CONV))
        elif isinstance(layer, torch.nn.BatchNorm2d):
            found += batch_norm(str(n), f"bn{i}")
    return found


@pytest.mark.oracle
def test_the_generator_agrees_with_torch(
    torch, references, agrees_with_torch, random_inputs
):
    reference = torch_generator(torch, 2)
    outputs = agrees_with_torch(
        GENERATOR,
        reference,
        rules(torch, reference),
        random_inputs(3, 6),
        to_theirs_inputs=lambda latents: [latents[:, :, None, None]],
        to_theirs_outputs=lambda images: jnp.moveaxis(images, -1, 1),
    )
    references.check("generator", outputs)


@pytest.mark.oracle
def test_the_discriminator_agrees_with_torch(
    torch, references, agrees_with_torch, random_inputs
):
    reference = torch_discriminator(torch, 2)
    outputs = agrees_with_torch(
        DISCRIMINATOR,
        reference,
        rules(torch, reference),
        random_inputs(3, 16, 16, 3),
        to_theirs_outputs=jax.nn.sigmoid,
    )
    references.check("discriminator", outputs)
