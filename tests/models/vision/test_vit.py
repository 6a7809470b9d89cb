import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models import functional, stack_layers
from fdl.models.layers.image_tokens import (
    patch_embedding,
    patchify,
    resize_positions,
    sincos_positions,
    unpatchify,
)
from fdl.models.pretrained import vit as formats
from fdl.models.pretrained.rules import Rule
from fdl.models.vision.vit import ViT

PROGRAMS = 230

SMALL = {
    "patch_size": 4,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_size": 16,
    "image_size": 12,
}
MODULE = ViT(**SMALL, num_classes=7)
VARIANTS = {
    "token": {},
    "mean": {"pool": "mean"},
    "representation": {"representation_size": 10},
}


@pytest.fixture(scope="module")
def variables(random_variables):
    return random_variables(MODULE)


@pytest.fixture(scope="module")
def images(random_inputs):
    return random_inputs(2, 12, 12, 3)


@pytest.mark.parametrize("variant", VARIANTS)
def test_vits_are_those_of_others(apply, variant, random_variables, images, references):
    module = MODULE.clone(**VARIANTS[variant])
    logits = apply(module, random_variables(module), images)
    references.agree(variant, logits)


@pytest.mark.oracle
@pytest.mark.parametrize("variant", ["token", "mean"])
def test_vits_agree_with_timm(variant, agrees_with_torch, images, references):
    from timm.models.vision_transformer import VisionTransformer

    pool = {"global_pool": "avg", "class_token": False, "fc_norm": False}
    reference = VisionTransformer(
        12,
        4,
        num_classes=7,
        embed_dim=16,
        depth=2,
        num_heads=2,
        **(pool if variant == "mean" else {}),
    )
    module = MODULE.clone(**VARIANTS[variant])
    outputs = agrees_with_torch(module, reference, formats.TIMM, images)
    references.check(variant, outputs)


@pytest.mark.oracle
@pytest.mark.parametrize("variant", ["token", "representation"])
def test_vits_agree_with_torchvision(variant, agrees_with_torch, images, references):
    from torchvision.models import VisionTransformer

    options = VARIANTS[variant]
    reference = VisionTransformer(12, 4, 2, 2, 16, 64, num_classes=7, **options)
    module = MODULE.clone(**options)
    outputs = agrees_with_torch(module, reference, formats.TORCHVISION, images)
    references.check(variant, outputs)


def transformers_vit(name):
    import transformers

    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=12,
        patch_size=4,
        layer_norm_eps=1e-6,  # As in its paper; their default is 1e-12.
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=7,
    )
    return getattr(transformers, name)(config)


@pytest.mark.oracle
def test_vits_agree_with_transformers(agrees_with_torch, images, references):
    reference = transformers_vit("ViTForImageClassification")
    outputs = agrees_with_torch(
        MODULE,
        reference,
        [in_memory(rule) for rule in formats.TRANSFORMERS],
        images,
        outputs_of=lambda outputs: outputs.logits,
    )
    references.check("token", outputs)


def in_memory(rule: Rule) -> Rule:
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
@pytest.mark.parametrize("name", ["ViTForImageClassification", "ViTModel"])
def test_files_of_transformers_are_read(
    name, torch, tmp_path, read_file, images, assert_close
):
    reference = transformers_vit(name).eval()
    reference.save_pretrained(tmp_path)
    module = MODULE
    if name == "ViTModel":
        module = MODULE.clone(num_classes=None, representation_size=16)
    variables = read_file(tmp_path / "model.safetensors", module, formats.TRANSFORMERS)
    with torch.no_grad():
        outputs = reference(torch.tensor(images.transpose(0, 3, 1, 2)))
    expected = outputs.pooler_output if name == "ViTModel" else outputs.logits
    assert_close(module.apply(variables, images), expected.numpy(), 1e-5)


@pytest.fixture
def read_file():
    """``read_file(path, module, rules)``: the variables, all of them."""
    from safetensors.numpy import load_file

    from fdl.models.pretrained.convert import to_ours, unflatten

    def read(path, module, rules):
        shapes = jax.eval_shape(functional(module).init, jax.random.key(0))
        arrays, report = to_ours(load_file(path), rules, shapes)
        assert not (report.missing or report.unexpected or report.mismatched), report
        return unflatten(arrays)

    return read


def test_patches_without_positions_are_a_set(apply, variables, images, assert_close):
    """Class token and all: an image is what its patches are, in whatever order."""
    unplaced = jax.tree.map(lambda x: x, variables)
    positions = unplaced["params"]["positions"]
    unplaced["params"]["positions"] = np.zeros_like(positions)
    patches = patchify(images, 4)
    order = np.random.RandomState(0).permutation(patches.shape[1])
    swapped = unpatchify(patches[:, order], 4, 12, 12)

    module = MODULE.clone(pool="none", num_classes=None)
    apply = functools.partial(apply, module)
    tokens = apply(unplaced, images)
    assert_close(apply(unplaced, swapped)[:, 1:], tokens[:, 1:][:, order], 1e-5)
    assert_close(apply(unplaced, swapped)[:, 0], tokens[:, 0], 1e-5)
    placed = apply(variables, swapped)[:, 0] - apply(variables, images)[:, 0]
    assert np.abs(placed).max() > 0.01


def test_patches_that_are_left_out_are_not_seen(apply, variables, images):
    kept = jnp.array([[8, 0, 5], [1, 2, 3]])
    apply = functools.partial(apply, MODULE)
    patches = np.array(patchify(images, 4))
    patches[0, [1, 2, 3, 4, 6, 7]] = 100.0
    patches[1, [0, 4, 5, 6, 7, 8]] = -100.0
    others = unpatchify(patches, 4, 12, 12)
    np.testing.assert_array_equal(
        apply(variables, images, kept), apply(variables, others, kept)
    )
    everything = jnp.broadcast_to(jnp.arange(9), (2, 9))
    np.testing.assert_allclose(
        apply(variables, images, everything), apply(variables, images), rtol=1e-6
    )


def test_scanned_and_recomputed_layers_equal_unrolled_ones(variables, images):
    """The first layer is never dropped, and the last always: nothing is random."""

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
    first, last = actual["params"]["encoder"]["layers"]["mlp"]["up"]["kernel"]
    assert np.all(last == 0) and np.all(np.isfinite(first)) and np.any(first != 0)


@pytest.mark.parametrize("scan", [pytest.param(False, marks=pytest.mark.slow), True])
def test_deeper_layers_are_dropped_more_often(scan):
    """The one branch that adds something is that of layer i; its tokens tell."""
    module = ViT(4, 3, 2, 8, num_classes=None, stochastic_depth=0.6)
    images = jnp.ones((1000, 4, 4, 1))
    shapes = jax.eval_shape(module.init, jax.random.key(0), images)["params"]
    nothing = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    nothing["norm"]["scale"] += 1
    model = functional(module.clone(scan_layers=scan))

    @jax.jit
    def train(params):
        params = stack_layers(params) if scan else params
        key = jax.random.key(1)
        return model.apply({"params": params}, images, key=key, train=True)[0]

    for layer, rate in enumerate([0.0, 0.3, 0.6]):
        params = jax.tree.map(lambda x: x, nothing)
        down = params["encoder"][f"layers_{layer}"]["mlp"]["down"]
        down["bias"] = np.arange(8, dtype=np.float32)
        dropped = np.mean(np.all(np.abs(train(params)) < 1e-6, axis=1))
        assert abs(dropped - rate) < 0.05


@pytest.mark.parametrize(
    "option",
    [
        *("dropout", "attention_dropout"),
        pytest.param("stochastic_depth", marks=pytest.mark.slow),
    ],
)
def test_there_is_dropout_in_training_alone(apply, option, variables, images):
    module = MODULE.clone(**{option: 0.5})
    evaluated = apply(module, variables, images)
    expected = apply(MODULE, variables, images)
    np.testing.assert_array_equal(evaluated, expected)
    train = jax.jit(functools.partial(functional(module).apply, train=True))
    (trained, _), (other, _) = (
        train(variables, images, key=jax.random.key(i)) for i in range(2)
    )
    assert not np.allclose(trained, evaluated) and not np.allclose(trained, other)


def test_attention_weights_are_seen_on_request(
    apply, see, variables, images, assert_close
):
    logits, seen = see(MODULE, variables, images)
    weights = seen["encoder/layers_1/attention/weights"]
    assert weights.shape == (2, 2, 10, 10)
    assert_close(weights.sum(axis=-1), np.ones((2, 2, 10)), 1e-5)
    assert_close(logits, apply(MODULE, variables, images), 1e-5)
    assert_close(seen["features"], seen["tokens"][:, 0], 0)
    assert seen["encoder/layers_0/outputs"].shape == (2, 10, 16)


def test_another_number_of_classes_keeps_the_rest(
    apply, variables, images, assert_close
):
    ours = jax.eval_shape(
        functional(MODULE.clone(num_classes=3)).init, jax.random.key(0)
    )
    theirs = jax.tree.map(jnp.shape, variables["params"])
    ours = jax.tree.map(jnp.shape, ours["params"])
    assert ours.pop("head") == {"bias": (3,), "kernel": (16, 3)}
    del theirs["head"]
    assert ours == theirs
    body = {k: v for k, v in variables["params"].items() if k != "head"}
    backbone = MODULE.clone(num_classes=None)
    pooled = apply(backbone, {"params": body}, images)
    head = variables["params"]["head"]
    expected = pooled @ head["kernel"] + head["bias"][None]
    assert_close(apply(MODULE, variables, images), expected, 1e-5)


def test_bfloat16_is_near_float32(apply, variables, images, assert_close):
    logits = apply(MODULE.clone(dtype="bfloat16"), variables, images)
    assert logits.dtype == jnp.bfloat16
    expected = apply(MODULE, variables, images)
    assert_close(logits.astype("float32"), expected, 0.05)


@pytest.mark.parametrize("positions", ["sincos2d", "mae"])
def test_fixed_positions_are_learned_ones_that_stay(
    apply, positions, variables, random_inputs, assert_close
):
    """For images of any size; the class token has none."""
    images = random_inputs(2, 8, 20, 3)
    params = dict(variables["params"])
    del params["positions"]
    fixed = MODULE.clone(positions=positions)
    actual = apply(fixed, {"params": params}, images)
    table = sincos_positions(2, 5, 16, inclusive=positions == "sincos2d")
    params["positions"] = jnp.concatenate([jnp.zeros((1, 1, 16)), table], axis=1)
    expected = apply(MODULE, {"params": params}, images)
    assert_close(actual, expected, 1e-6)


@pytest.mark.parametrize("inclusive", [False, True])
def test_sincos_positions_are_those_of_the_definition(inclusive, assert_close):
    omega = 10_000.0 ** -(np.arange(3) / (2 if inclusive else 3))
    expected = [
        np.concatenate([f(x * omega) for x in (column, row) for f in (np.sin, np.cos)])
        for row in range(2)
        for column in range(5)
    ]
    actual = sincos_positions(2, 5, 12, inclusive=inclusive)
    assert_close(actual[0], np.array(expected), 1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("size", [(7, 7), (3, 3), (6, 4)])
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_positions_are_resized_as_by_timm(size, method, torch, random_inputs):
    from timm.layers import resample_abs_pos_embed

    table = random_inputs(1, 2 + 5 * 5, 8)
    expected = resample_abs_pos_embed(
        torch.tensor(table), size, num_prefix_tokens=2, interpolation=method
    )
    actual = resize_positions(table, 2, size, method)
    np.testing.assert_allclose(actual, expected.numpy(), atol=1e-5)


def test_resized_positions_keep_planes_and_class_tokens(assert_close):
    """Where positions are linear in row and column, so are they in between."""
    y, x = np.mgrid[:4, :4]
    table = np.stack([x, y], axis=-1).reshape(1, 16, 2).astype(np.float32)
    table = np.concatenate([np.full((1, 1, 2), 9.0, np.float32), table], axis=1)
    same = resize_positions(table, 1, (4, 4))
    assert_close(same, table, 1e-6)
    larger = np.asarray(resize_positions(table, 1, (4, 8), "bilinear"))
    assert_close(larger[:, 0], table[:, 0], 0)
    columns = larger[0, 1:].reshape(4, 8, 2)[0, :, 0]
    assert_close(columns[1:-1], np.arange(0.25, 3, 0.5), 1e-5)
    with pytest.raises(
        ValueError, match="17 patch positions: expected a square number"
    ):
        resize_positions(table, 0, (4, 4))


def test_patch_embeddings_equal_convolutions(apply, random_inputs, assert_close):
    images = random_inputs(2, 8, 12, 3)
    ours = patch_embedding(5, 4)
    theirs = ours.clone(conv_general_dilated=None)
    variables = jax.jit(ours.init)(jax.random.key(0), images)
    assert_close(apply(ours, variables, images), apply(theirs, variables, images), 1e-6)


def test_patches_become_the_image_again(random_inputs):
    images = random_inputs(2, 8, 12, 3)
    patches = patchify(images, 4)
    assert patches.shape == (2, 6, 48)
    np.testing.assert_array_equal(patches[1, 4].reshape(4, 4, 3), images[1, 4:, 4:8])
    np.testing.assert_array_equal(unpatchify(patches, 4, 8, 12), images)


@pytest.mark.parametrize("option", ["pool", "positions"])
def test_options_are_checked(option, images):
    with pytest.raises(ValueError, match=f"{option}='cls': expected '(learned|token)"):
        jax.eval_shape(
            functional(MODULE.clone(**{option: "cls"})).init, jax.random.key(0)
        )
