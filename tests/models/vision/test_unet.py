import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.models.pretrained.layer_rules import conv
from fdl.models.vision.unet import UNet, unet

PROGRAMS = 120

SIZES = {"VALID": (52, 60), "SAME": (16, 24)}  # Of three levels.
SMALL = {
    padding: UNet((4, 8, 16), 3, padding, input_shape=(*size, 2))
    for padding, size in SIZES.items()
}


def features(module, variables, images, **options):
    """All intermediate results, by name."""
    run = jax.jit(lambda *args: models.features(module, *args, **options)[1])
    return run(variables, images)


TINY = UNet((4, 8), 3, "SAME", input_shape=(6, 8, 2))
every_padding = pytest.mark.parametrize("padding", SMALL)
KEY = jax.random.key(0)


@every_padding
def test_it_is_that_of_the_paper(
    apply, padding, references, random_variables, random_inputs
):
    module, images = SMALL[padding], random_inputs(2, *SIZES[padding], 2)
    outputs = apply(module, random_variables(module), images)
    references.agree(padding, np.moveaxis(outputs, -1, 1))


@pytest.mark.parametrize(
    "padding, size, expected", [("VALID", 572, 388), ("SAME", 576, 576)]
)
def test_it_gives_out_the_sizes_of_the_paper(padding, size, expected):
    module, images = unet(padding=padding), jnp.zeros((1, size, size, 1))
    variables = jax.eval_shape(module.init, KEY, images)
    outputs = jax.eval_shape(module.apply, variables, images)
    assert outputs.shape == (1, expected, expected, 2)


def test_a_shifted_image_gives_shifted_outputs(apply, random_variables, random_inputs):
    module, images = SMALL["VALID"], random_inputs(1, 56, 64, 2)
    variables = random_variables(module)
    apply = functools.partial(apply, module)
    whole = apply(variables, images)
    shifted = apply(variables, images[:, 4:, 4:])
    np.testing.assert_allclose(shifted, whole[:, 4:, 4:], rtol=1e-4, atol=1e-5)


def test_the_last_two_levels_drop_features(random_variables, random_inputs):
    module = SMALL["SAME"].clone(dropout=0.5)
    variables, images = random_variables(module), random_inputs(2, 16, 24, 2)
    kept = features(module, variables, images)
    seen = features(module, variables, images, train=True, rngs={"dropout": KEY})
    np.testing.assert_array_equal(seen["down0"], kept["down0"])
    dropped = np.asarray((seen["down1"] == 0) & (kept["down1"] != 0))
    survivors = np.asarray(seen["down1"] != 0)
    assert 0.4 < dropped.sum() / (dropped.sum() + survivors.sum()) < 0.6
    np.testing.assert_allclose(
        seen["down1"][survivors], 2 * kept["down1"][survivors], rtol=1e-5
    )
    assert np.mean(seen["down2"] == 0) > 0.4


def test_features_of_the_finest_level_come_out_without_a_head(
    apply, random_variables, random_inputs
):
    images, variables = random_inputs(1, 6, 8, 2), random_variables(TINY)
    seen = features(TINY, variables, images)
    headless = TINY.clone(num_classes=None)
    assert "head" not in random_variables(headless)["params"]
    outputs = apply(headless, variables, images)
    np.testing.assert_allclose(outputs, seen["up0"], rtol=1e-5, atol=1e-6)
    assert sorted(seen) == ["down0", "down1", "up0"]


@pytest.mark.slow
def test_recomputed_levels_have_the_same_gradients(random_variables, random_inputs):
    images, variables = random_inputs(1, 6, 8, 2), random_variables(TINY)

    def gradients(module):
        def loss(variables):
            return jnp.sum(jnp.sin(module.apply(variables, images)))

        step = jax.jit(jax.grad(loss))
        assert ("remat" in str(step.trace(variables).jaxpr)) == module.remat
        return step(variables)

    actual = gradients(TINY.clone(remat=True))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        actual,
        gradients(TINY),
    )


def test_bfloat16_is_close(apply, random_variables, random_inputs):
    images, variables = random_inputs(1, 6, 8, 2), random_variables(TINY)
    module = TINY.clone(dtype="bfloat16")
    outputs = apply(module, variables, images)
    expected = apply(TINY, variables, images)
    assert outputs.dtype == jnp.bfloat16
    worst = np.max(np.abs(outputs.astype(jnp.float32) - expected))
    assert worst < 0.03 * np.max(np.abs(expected))


def test_weights_keep_the_variance_of_what_they_sum():
    module = UNet((64, 128), input_shape=(18, 18, 1))
    variables = jax.jit(module.init)(KEY, jnp.zeros((1, 18, 18, 1)))
    params = variables["params"]
    for name, num_inputs in [
        (("contract1", "conv2"), 9 * 128),
        (("expand0", "conv1"), 9 * 128),
        (("upsample0",), 128),
    ]:
        node = params
        for part in name:
            node = node[part]
        assert np.std(node["kernel"]) == pytest.approx(
            (2 / num_inputs) ** 0.5, rel=0.03
        )
        assert not node["bias"].any()


@every_padding
def test_sizes_that_cannot_be_halved_are_named(padding):
    def outputs(*size):
        """The size of what comes out."""
        images = jnp.zeros((1, *size, 2))
        run = jax.eval_shape(SMALL[padding].init_with_output, KEY, images)
        return run[0].shape[1:3]

    lost = 40 if padding == "VALID" else 0
    for size in (0, 4, 12, 16, 36, 40, 41, 42, 43, 44, 48):
        if size % 4 == 0 and size > lost:
            assert outputs(size, 60) == (size - lost, 60 - lost)
            continue
        for height, width in [(size, 60), (60, size)]:
            with pytest.raises(
                ValueError, match=f"of {height}×{width} pixels: expected"
            ):
                outputs(height, width)


def rules():
    """From torch's names, of `reference`, to ours."""
    return [
        *[
            rule
            for theirs, ours in [("down.{i}", "contract{i}"), ("up.{i}", "expand{i}")]
            for n in (1, 2)
            for rule in conv(f"{theirs}.{2 * n - 2}", f"{ours}/conv{n}")
        ],
        *conv("upsample.{i}", "upsample{i}"),
        *conv("head", "head"),
    ]


def reference(torch, widths, padding, channels, num_classes):
    """The network of the paper, written down a second time."""
    nn = torch.nn

    def convolutions(inputs, outputs):
        pad = 1 if padding == "SAME" else 0
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=pad),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=pad),
            nn.ReLU(),
        )

    class Reference(nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [channels, *widths]
            up = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
            self.down = nn.ModuleList(
                convolutions(*pair) for pair in itertools.pairwise(sizes)
            )
            self.upsample = nn.ModuleList(
                nn.ConvTranspose2d(*pair, kernel_size=2, stride=2) for pair in up
            )
            self.up = nn.ModuleList(convolutions(*pair) for pair in up)
            self.head = nn.Conv2d(widths[0], num_classes, 1)

        def forward(self, x):
            skips = []
            for level in self.down:
                x = level(nn.functional.max_pool2d(x, 2) if skips else x)
                skips.append(x)
            for upsample, level, skip in zip(
                self.upsample, self.up, skips[-2::-1], strict=True
            ):
                x = upsample(x)
                top = (skip.shape[2] - x.shape[2]) // 2
                left = (skip.shape[3] - x.shape[3]) // 2
                skip = skip[:, :, top : top + x.shape[2], left : left + x.shape[3]]
                x = level(torch.cat([skip, x], 1))
            return self.head(x)

    return Reference()


@pytest.mark.oracle
@every_padding
def test_it_agrees_with_torch(
    torch, padding, references, agrees_with_torch, random_inputs
):
    module, images = SMALL[padding], random_inputs(2, *SIZES[padding], 2)
    outputs = agrees_with_torch(
        module,
        reference(torch, module.widths, padding, 2, 3),
        rules(),
        images,
        to_theirs_outputs=lambda outputs: jnp.moveaxis(outputs, -1, 1),
    )
    references.check(padding, outputs)


@pytest.mark.oracle
def test_the_published_size_has_the_parameters_of_torch(torch):
    with torch.device("meta"):
        theirs = reference(torch, unet().widths, "VALID", 1, 2)
    assert sum(p.numel() for p in theirs.parameters()) == 31_030_658
