import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.models.generative.ddpm_unet import DDPMUNet, ddpm_cifar10
from fdl.models.layers.time_conditioned_block import time_embedding
from fdl.models.pretrained import ddpm_unet as formats
from fdl.models.pretrained import to_ours, to_theirs

SMALL = {
    "one head": DDPMUNet(8, (1, 2), num_groups=4, input_shape=(4, 6, 3)),
    "two heads": DDPMUNet(
        8, (1, 2, 2), 1, num_heads=2, num_groups=4, input_shape=(8, 8, 3)
    ),
}
TINY = DDPMUNet(8, (1,), 0, (0,), num_groups=4, input_shape=(4, 4, 3))  # Three blocks.
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def inputs(random_inputs):
    """``inputs(module)``: two images and their times."""

    def make(module):
        return random_inputs(2, *module.input_shape), np.array([3, 420], np.int32)

    return make


def test_it_is_that_of_the_paper(references, random_variables, inputs):
    module = SMALL["two heads"]
    run = jax.jit(lambda *args: models.features(module, *args))
    outputs, seen = run(random_variables(module), *inputs(module))
    references.agree("two heads", np.moveaxis(outputs, -1, 1))
    shapes = {name: x.shape for name, x in seen.items() if "/" not in name}
    assert shapes == {
        "down0": (2, 8, 8, 8),
        "down1": (2, 4, 4, 16),
        "down2": (2, 2, 2, 16),
        "middle": (2, 2, 2, 16),
        "up0": (2, 2, 2, 16),
        "up1": (2, 4, 4, 16),
        "up2": (2, 8, 8, 8),
    }
    attending = {name.split("/")[0] for name in seen if name.endswith("/weights")}
    assert attending == {"down1_0", "middle_0", "up1_0", "up1_1"}
    weights = seen["down1_0/attention/weights"]
    assert weights.shape == (2, 2, 16, 16)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)


def test_times_are_sines_and_cosines():
    times = np.array([0, 1, 7, 999])
    rates = 10_000.0 ** (-np.arange(16) / 15)
    angles = times[:, None] * rates
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    actual = time_embedding(jnp.array(times), 32)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_no_noise_is_seen_to_begin_with_and_blocks_add_nothing(inputs):
    zeros = [("head",), ("middle_0", "conv2"), ("middle_0", "attention", "out")]
    others = [("conv",), ("middle_0", "time"), ("middle_0", "attention", "query")]

    @jax.jit
    def kernels(key):
        params, found = TINY.init(key, *inputs(TINY))["params"], {}
        for path in zeros + others:
            layer = functools.reduce(lambda node, name: node[name], path, params)
            found["/".join(path)] = layer
        return found

    found = kernels(KEY)
    for path in zeros:
        assert not any(leaf.any() for leaf in found["/".join(path)].values())
    for path in others:
        kernel = found["/".join(path)]["kernel"]
        *window, fan_in, fan_out = kernel.shape
        bound = (6 / (np.prod(window) * (fan_in + fan_out))) ** 0.5
        assert 0.9 * bound < np.abs(kernel).max() <= bound


def test_each_image_has_its_own_time(apply, random_variables, inputs):
    images, times = inputs(TINY)
    apply, variables = functools.partial(apply, TINY), random_variables(TINY)
    before = apply(variables, images, times)
    after = apply(variables, images, times + np.array([0, 50], np.int32))
    np.testing.assert_array_equal(after[0], before[0])
    assert np.abs(after[1] - before[1]).max() > 0.01


def test_features_are_dropped_in_training_alone(apply, random_variables, inputs):
    module, variables = TINY.clone(dropout=0.5), random_variables(TINY)
    run = jax.jit(module.apply, static_argnames="train")
    expected = apply(TINY, variables, *inputs(TINY))
    np.testing.assert_array_equal(run(variables, *inputs(TINY)), expected)
    one, again, other = (
        run(variables, *inputs(TINY), train=True, rngs={"dropout": key})
        for key in (KEY, KEY, jax.random.key(1))
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.01 < np.abs(one - expected).max()


@pytest.mark.slow
def test_recomputed_blocks_have_the_same_gradients(random_variables, inputs):
    variables = random_variables(TINY)

    def gradients(module):
        def loss(variables):
            rngs = {"dropout": KEY}
            outputs = module.apply(variables, *inputs(TINY), train=True, rngs=rngs)
            return jnp.sum(jnp.sin(outputs))

        step = jax.jit(jax.grad(loss))
        assert ("remat" in str(step.trace(variables).jaxpr)) == module.remat
        return step(variables)

    module = TINY.clone(dropout=0.5)
    expected = gradients(module)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(expected))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
        gradients(module.clone(remat=True)),
        expected,
    )


def test_bfloat16_is_close(apply, random_variables, inputs):
    variables = random_variables(TINY)
    module = TINY.clone(dtype="bfloat16")
    outputs = apply(module, variables, *inputs(TINY))
    expected = apply(TINY, variables, *inputs(TINY))
    assert outputs.dtype == jnp.bfloat16
    worst = np.max(np.abs(outputs.astype(jnp.float32) - expected))
    assert worst < 0.05 * np.max(np.abs(expected))


def test_sizes_that_cannot_be_halved_are_named():
    images, times = jnp.zeros((1, 8, 10, 3)), jnp.zeros(1, jnp.int32)
    with pytest.raises(ValueError, match=r"8, 10, 3\): expected .* by 4 for 3 levels"):
        jax.eval_shape(SMALL["two heads"].init, KEY, images, times)


def theirs(module):
    """That of diffusers, whose fields are those of google/ddpm-cifar10-32."""
    diffusers = pytest.importorskip("diffusers")
    attends = [i in module.attention_levels for i in range(len(module.multipliers))]
    return diffusers.UNet2DModel(
        sample_size=32,
        center_input_sample=False,
        time_embedding_type="positional",
        freq_shift=1,
        flip_sin_to_cos=False,
        down_block_types=["AttnDownBlock2D" if a else "DownBlock2D" for a in attends],
        up_block_types=["AttnUpBlock2D" if a else "UpBlock2D" for a in attends[::-1]],
        block_out_channels=[module.width * m for m in module.multipliers],
        downsample_padding=0,
        norm_eps=1e-6,
        act_fn="silu",
        norm_num_groups=module.num_groups,
        layers_per_block=module.num_blocks,
        mid_block_scale_factor=1,
        # Theirs is the size of a head, of a number that grows with the channels.
        attention_head_dim=None if module.num_heads == 1 else module.width,
    )


@pytest.mark.oracle
@pytest.mark.parametrize("name", SMALL)
def test_it_agrees_with_diffusers(torch, name, references, agrees_with_torch, inputs):
    module = SMALL[name]
    outputs = agrees_with_torch(
        module,
        theirs(module),
        formats.DIFFUSERS,
        *inputs(module),
        outputs_of=lambda outputs: outputs.sample,
        to_theirs_outputs=lambda outputs: jnp.moveaxis(outputs, -1, 1),
    )
    references.check(name, outputs)


@pytest.mark.oracle
def test_every_array_of_a_published_checkpoint_has_its_place(torch):
    module = ddpm_cifar10()
    with torch.device("meta"):
        reference = theirs(module)
    zero = np.zeros((), np.float32)
    tensors = {
        key: np.broadcast_to(zero, value.shape)
        for key, value in reference.state_dict().items()
    }
    like = jax.eval_shape(models.functional(module).init, KEY)
    _, report = to_ours(tensors, formats.DIFFUSERS, like)
    assert len(report.matched) == len(tensors) == len(jax.tree.leaves(like))
    assert not report.missing and not report.unexpected and not report.mismatched


@pytest.mark.oracle
def test_diffusers_reads_the_names_of_its_first_versions(
    torch, tmp_path, random_variables
):
    from safetensors.numpy import save_file

    variables, model = random_variables(SMALL["two heads"]), theirs(SMALL["two heads"])
    state = to_theirs(variables, formats.DIFFUSERS_OLD)
    assert "mid_block.attentions.0.proj_attn.weight" in state
    model.save_config(tmp_path)
    state = {name: np.ascontiguousarray(array) for name, array in state.items()}
    save_file(state, tmp_path / "diffusion_pytorch_model.safetensors")
    model = type(model).from_pretrained(tmp_path, low_cpu_mem_usage=False)
    expected = to_theirs(variables, formats.DIFFUSERS)
    assert model.state_dict().keys() == expected.keys()
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, expected[name])
