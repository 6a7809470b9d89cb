import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models import functional, stack_layers
from fdl.models.layers.image_tokens import patchify, unpatchify
from fdl.models.pretrained import mae as formats
from fdl.models.pretrained.convert import flatten, to_ours, to_theirs
from fdl.models.vision.mae import MAE
from fdl.models.vision.vit import ViT

MODULE = MAE(
    4,
    2,
    2,
    16,
    decoder_layers=1,
    decoder_heads=2,
    decoder_size=8,
    mask_ratio=0.6,
    image_size=12,
)
NOISE = np.random.RandomState(0).uniform(size=(2, 9)).astype(np.float32)


@pytest.fixture(scope="module")
def variables(random_variables):
    return random_variables(MODULE)


@pytest.fixture(scope="module")
def images(random_inputs):
    return random_inputs(2, 12, 12, 3)


def test_the_autoencoder_is_that_of_transformers(apply, variables, images, references):
    pixels, _ = apply(MODULE, variables, images, NOISE)
    references.agree("mae", pixels)


def transformers_mae():
    import transformers

    config = transformers.ViTMAEConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        decoder_hidden_size=8,
        decoder_num_hidden_layers=1,
        decoder_num_attention_heads=2,
        decoder_intermediate_size=32,
        image_size=12,
        patch_size=4,
        mask_ratio=0.6,
        layer_norm_eps=1e-6,  # As in its paper; their default is 1e-12.
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    reference = transformers.ViTMAEForPreTraining(config)
    # Its positions come from checkpoints; where it initialises, they end up as zeros.
    embeddings = reference.vit.embeddings
    embeddings.patch_embeddings.projection._is_hf_initialized = False
    embeddings.initialize_weights()
    reference.decoder.initialize_weights(9)
    return reference


def fix_positions(reference):
    """What does not learn is no parameter."""
    for module, name in [
        (reference.vit.embeddings, "position_embeddings"),
        (reference.decoder, "decoder_pos_embed"),
    ]:
        table = getattr(module, name).data
        delattr(module, name)
        module.register_buffer(name, table)
    return reference


@pytest.mark.oracle
def test_the_autoencoder_agrees_with_transformers(
    agrees_with_torch, images, references
):
    outputs = agrees_with_torch(
        MODULE,
        fix_positions(transformers_mae()),
        [in_memory(rule) for rule in formats.TRANSFORMERS],
        images,
        NOISE,
        outputs_of=lambda outputs: outputs.logits,
        to_theirs_outputs=lambda outputs: outputs[0],
    )
    references.check("mae", outputs)


def in_memory(rule):
    """Their files keep the names of old; their modules have new ones."""
    name = rule.theirs.replace("encoder.layer.", "layers.")
    for old, new in {
        "attention.query": "q_proj",
        "attention.key": "k_proj",
        "attention.value": "v_proj",
        "attention.output.dense": "attention.o_proj",
        "intermediate.dense": "mlp.fc1",
        "output.dense": "mlp.fc2",
    }.items():
        name = name.replace(old, new)
    return rule._replace(theirs=name)


@pytest.mark.oracle
def test_transformers_reads_what_we_write(
    torch, tmp_path, variables, images, assert_close
):
    """With the names of published files; what it writes itself has others."""
    from safetensors.numpy import save_file

    reference = transformers_mae()
    reference.config.save_pretrained(tmp_path)
    tables = {
        name: array.numpy()
        for name, array in reference.state_dict().items()
        if name.endswith(("position_embeddings", "decoder_pos_embed"))
    }
    ours = to_theirs(variables, formats.TRANSFORMERS)
    arrays = {name: np.ascontiguousarray(x) for name, x in {**ours, **tables}.items()}
    save_file(arrays, tmp_path / "model.safetensors", {"format": "pt"})
    reference, report = type(reference).from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not (report["missing_keys"] or report["unexpected_keys"]), report

    shapes = jax.eval_shape(functional(MODULE).init, jax.random.key(0))
    read, report = to_ours(arrays, formats.TRANSFORMERS, shapes)
    assert not (report.missing or report.unexpected or report.mismatched), report
    for path, array in flatten(variables).items():
        np.testing.assert_array_equal(read[path], array)

    with torch.no_grad():
        theirs = reference.eval()(
            torch.tensor(images.transpose(0, 3, 1, 2)), torch.tensor(NOISE)
        )
    pixels, hidden = MODULE.apply(variables, images, NOISE)
    assert_close(pixels, theirs.logits.numpy(), 1e-5)
    np.testing.assert_array_equal(hidden, theirs.mask.numpy())
    errors = np.mean((pixels - patchify(images, 4)) ** 2, axis=-1)
    assert_close(np.mean(errors[np.asarray(hidden)]), theirs.loss.numpy(), 1e-5)


def test_hidden_patches_are_not_seen(apply, variables, images):
    apply = functools.partial(apply, MODULE)
    pixels, hidden = apply(variables, images, NOISE)
    assert hidden.dtype == bool
    np.testing.assert_array_equal(hidden, NOISE.argsort().argsort() >= 3)
    other = np.where(hidden[..., None], 100.0, patchify(images, 4))
    same, _ = apply(variables, unpatchify(jnp.asarray(other), 4, 12, 12), NOISE)
    np.testing.assert_array_equal(same, pixels)
    other = np.where(hidden[..., None], patchify(images, 4), 100.0)
    others, _ = apply(variables, unpatchify(jnp.asarray(other), 4, 12, 12), NOISE)
    assert np.abs(others - pixels).max(axis=(1, 2)).min() > 0.01


def test_patches_are_hidden_at_random(images):
    """Each image for itself, each patch as often, and as many of each image."""
    module = MODULE.clone(num_layers=1, hidden_size=8)
    model = functional(module)
    images = jnp.broadcast_to(images[:1], (500, 12, 12, 3))

    @jax.jit
    def hide(seed):
        variables = model.init(jax.random.key(0))
        key = jax.random.key(seed)
        return model.apply(variables, images, key=key, train=True)[0][1]

    hidden = np.asarray(hide(0))
    assert np.all(hidden.sum(axis=1) == 6)
    np.testing.assert_allclose(hidden.mean(axis=0), 6 / 9, atol=0.08)
    np.testing.assert_array_equal(hidden, hide(0))
    assert np.mean(hidden != hide(1)) > 0.3


def test_without_noise_or_key_there_is_an_error(variables, images):
    with pytest.raises(ValueError, match="noise=None: expected an array, or a key"):
        jax.eval_shape(MODULE.apply, variables, images)
    shapes = jax.eval_shape(MODULE.init, jax.random.key(0), images)
    with_noise = jax.eval_shape(MODULE.init, jax.random.key(0), images, NOISE)
    chex.assert_trees_all_equal_shapes(shapes, with_noise)


def test_the_encoder_is_a_vit(apply, see, variables, images, assert_close):
    """Where nothing is hidden, they see the same."""
    whole = MODULE.clone(mask_ratio=0.0)
    order = NOISE.argsort()
    see = functools.partial(see, whole)
    _, seen = see(variables, images, NOISE)
    vit = ViT(4, 2, 2, 16, pool="none", positions="mae", num_classes=None)
    tokens = apply(vit, {"params": variables["params"]["vit"]}, images)
    assert_close(seen["vit/tokens"][:, 0], tokens[:, 0], 1e-5)
    in_order = np.take_along_axis(np.asarray(tokens[:, 1:]), order[..., None], axis=1)
    assert_close(seen["vit/tokens"][:, 1:], in_order, 1e-5)


def test_scanned_layers_equal_unrolled_ones(apply, variables, images, assert_close):
    scanned = MODULE.clone(scan_layers=True, remat=True)
    expected, _ = apply(MODULE, variables, images, NOISE)
    actual, _ = apply(scanned, stack_layers(variables), images, NOISE)
    assert_close(actual, expected, 1e-5)


def test_bfloat16_is_near_float32(apply, variables, images, assert_close):
    module = MODULE.clone(dtype="bfloat16")
    pixels, _ = apply(module, variables, images, NOISE)
    assert pixels.dtype == jnp.bfloat16
    expected, _ = apply(MODULE, variables, images, NOISE)
    assert_close(pixels.astype("float32"), expected, 0.05)
