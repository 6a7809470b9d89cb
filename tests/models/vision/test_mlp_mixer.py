import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models import functional, stack_layers
from fdl.models.pretrained import mlp_mixer as formats
from fdl.models.vision.mlp_mixer import MLPMixer
from fdl.trees import path_name

PROGRAMS = 160

SMALL = {"patch_size": 4, "num_layers": 2, "hidden_size": 16, "image_size": 12}
MODULE = MLPMixer(**SMALL, num_classes=7)


@pytest.fixture(scope="module")
def variables(random_variables):
    return random_variables(MODULE)


@pytest.fixture(scope="module")
def images(random_inputs):
    return random_inputs(2, 12, 12, 3)


def test_the_mixer_is_that_of_timm(apply, variables, images, references):
    references.agree("mixer", apply(MODULE, variables, images))


@pytest.mark.oracle
def test_the_mixer_agrees_with_timm(agrees_with_torch, images, references):
    from timm.models.mlp_mixer import MlpMixer

    reference = MlpMixer(7, 12, patch_size=4, num_blocks=2, embed_dim=16)
    outputs = agrees_with_torch(MODULE, reference, formats.TIMM, images)
    references.check("mixer", outputs)


def test_swapped_patches_swap_the_weights_along_them(
    apply, variables, images, assert_close
):
    """A Mixer is told where patches are by the weights of its networks along them."""
    order = np.random.RandomState(0).permutation(9)
    tokens = images.reshape(2, 3, 4, 3, 4, 3).transpose(0, 1, 3, 2, 4, 5)
    tokens = tokens.reshape(2, 9, 4, 4, 3)[:, order].reshape(2, 3, 3, 4, 4, 3)
    swapped = tokens.transpose(0, 1, 3, 2, 4, 5).reshape(images.shape)

    def along_patches(path, leaf):
        path = path_name(path)
        if "tokens_mlp/up/kernel" in path:
            return leaf[order]
        return leaf[..., order] if "tokens_mlp/down" in path else leaf

    apply = functools.partial(apply, MODULE)
    reordered = jax.tree.map_with_path(along_patches, variables)
    expected = apply(variables, images)
    assert_close(apply(reordered, swapped), expected, 1e-5)
    assert np.abs(apply(variables, swapped) - expected).max() > 0.01


@pytest.mark.slow
def test_scanned_and_recomputed_blocks_equal_unrolled_ones(variables, images):
    """The first block is never dropped, and the last always: nothing is random."""

    def loss(module, variables):
        rngs = {"dropout": jax.random.key(0)}
        logits = module.apply(variables, images, train=True, rngs=rngs)
        return jnp.sum(jnp.sin(logits))

    unrolled = MODULE.clone(stochastic_depth=1.0)
    scanned = unrolled.clone(scan_layers=True, remat=True)
    expected = stack_layers(jax.jit(jax.grad(lambda v: loss(unrolled, v)))(variables))
    stacked = stack_layers(variables)
    actual = jax.jit(jax.grad(lambda v: loss(scanned, v)))(stacked)
    chex.assert_trees_all_close(actual, expected, rtol=1e-4, atol=1e-5)
    first, last = actual["params"]["blocks"]["layers"]["channels_mlp"]["up"]["kernel"]
    assert np.all(last == 0) and np.all(np.isfinite(first)) and np.any(first != 0)


@pytest.mark.parametrize("option", ["dropout", "stochastic_depth"])
def test_branches_are_dropped_in_training_alone(apply, option, variables, images):
    module = MODULE.clone(**{option: 0.5})
    evaluated = apply(module, variables, images)
    expected = apply(MODULE, variables, images)
    np.testing.assert_array_equal(evaluated, expected)
    train = jax.jit(functools.partial(functional(module).apply, train=True))
    (trained, _), (other, _) = (
        train(variables, images, key=jax.random.key(i)) for i in range(2)
    )
    assert not np.allclose(trained, evaluated) and not np.allclose(trained, other)


def test_hidden_units_and_outputs_are_dropped(apply, variables, images, assert_close):
    """All of them: nothing is left of the branches, not even a bias."""

    def without_outputs(path, leaf):
        return leaf * 0 if "down" in jax.tree_util.keystr(path) else leaf

    train = functools.partial(MODULE.clone(dropout=1.0).apply, train=True)
    silent = jax.tree.map_with_path(without_outputs, variables)
    expected = apply(MODULE, silent, images)
    assert_close(jax.jit(train)(variables, images), expected, 1e-6)


def test_bfloat16_is_near_float32(apply, variables, images, assert_close):
    module = MODULE.clone(dtype="bfloat16")
    logits = apply(module, variables, images)
    assert logits.dtype == jnp.bfloat16
    expected = apply(MODULE, variables, images)
    assert_close(logits.astype("float32"), expected, 0.05)


def test_the_mean_of_the_tokens_is_read_out(
    apply, see, variables, images, assert_close
):
    see = functools.partial(see, MODULE)
    logits, seen = see(variables, images)
    head = variables["params"]["head"]
    pooled = apply(MODULE.clone(num_classes=None), variables, images)
    assert_close(pooled, seen["tokens"].mean(axis=1), 1e-6)
    assert_close(pooled, seen["features"], 1e-6)
    assert_close(logits, pooled @ head["kernel"] + head["bias"][None], 1e-5)
    assert seen["blocks/layers_1/outputs"].shape == (2, 9, 16)


def test_images_must_be_whole_patches(variables):
    with pytest.raises(ValueError, match=r"patch_size=4: expected .* image size 12×13"):
        jax.eval_shape(MODULE.apply, variables, jnp.zeros((1, 12, 13, 3)))
