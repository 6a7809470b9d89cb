import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models import features, functional
from fdl.models.layers import adaptive_avg_pool
from fdl.models.pretrained import alexnet as formats
from fdl.models.pretrained import load, save, to_theirs
from fdl.models.pretrained.layer_rules import conv, dense
from fdl.models.pretrained.rules import of_flat_images
from fdl.models.vision.alexnet import AlexNet, alexnet, alexnet_one_tower

PROGRAMS = 170

SMALL = {"hidden_sizes": (16, 16), "num_classes": 7, "dropout": 0.0}
TWO_TOWERS = AlexNet((8, 16, 12, 12, 8), **SMALL)
FORMS = {  # A network, and the size of its images.
    "two towers": (TWO_TOWERS, 227),
    "no towers": (TWO_TOWERS.clone(towers=1, response_norm=False, pool_size=2), 99),
    "one tower": (alexnet_one_tower(**SMALL), 80),
}
every_form = pytest.mark.parametrize("form", FORMS)


@pytest.fixture
def small(form, random_inputs):
    module, size = FORMS[form]
    return module, random_inputs(2, size, size, 3)


@pytest.fixture
def tiny(random_inputs, random_variables):
    module = AlexNet((4, 8, 4, 4, 4), hidden_sizes=(8, 8), num_classes=3)
    images = random_inputs(2, 67, 67, 3)
    return module, random_variables(module, images), images


@every_form
def test_alexnets_are_those_of_torch(apply, form, small, references, random_variables):
    module, images = small
    outputs = apply(module, random_variables(module, images), images)
    references.agree(form, outputs)


@pytest.mark.oracle
@every_form
def test_alexnets_agree_with_torch(form, small, references, agrees_with_torch, torch):
    from torch import nn

    module, images = small
    if form == "one tower":
        import torchvision.models

        with torch.device("meta"):
            reference = torchvision.models.AlexNet(7, dropout=0.0)
        reference.to_empty(device="cpu")
        for i, inputs in ((1, 9216), (4, 16), (6, 16)):
            outputs = 7 if i == 6 else 16
            reference.classifier[i] = nn.Linear(inputs, outputs)
        rules = formats.torchvision(256)
    else:
        reference, rules = two_towers(nn, module), RULES
    outputs = agrees_with_torch(module, reference, rules, images)
    references.check(form, outputs)


def two_towers(nn, module):
    """The network of 2012, by the words of the paper's section 3.5."""
    towers, pool = module.towers, lambda: nn.MaxPool2d(module.pool_size, 2)
    # Theirs is the mean over five channels, the paper's the sum.
    norm = functools.partial(nn.LocalResponseNorm, 5, alpha=5e-4, beta=0.75, k=2)
    norm = norm if module.response_norm else nn.Identity
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 11, 4), nn.ReLU(), norm(), pool()),
        *(nn.Conv2d(8, 16, 5, 1, 2, groups=towers), nn.ReLU(), norm(), pool()),
        *(nn.Conv2d(16, 12, 3, 1, 1), nn.ReLU()),
        *(nn.Conv2d(12, 12, 3, 1, 1, groups=towers), nn.ReLU()),
        *(nn.Conv2d(12, 8, 3, 1, 1, groups=towers), nn.ReLU(), pool()),
        *(nn.AdaptiveAvgPool2d(6), nn.Flatten()),
        *(nn.Linear(288, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU()),
        nn.Linear(16, 7),
    )


RULES = [
    *(
        rule
        for i, n in enumerate((0, 4, 8, 10, 12))
        for rule in conv(f"{n}", f"conv{i + 1}")
    ),
    *dense("17", "dense_0", of_flat_images(8, 6, 6)),
    *dense("19", "dense_1"),
    *dense("21", "head"),
]


@pytest.mark.oracle
def test_published_weights_fit_in_one_tower(torch):
    from torchvision.models import alexnet as theirs

    with torch.device("meta"):
        expected = {k: v.shape for k, v in theirs().state_dict().items()}
    module = alexnet_one_tower()
    shapes = jax.eval_shape(functional(module).init, jax.random.key(0))
    zeros = jax.tree.map(lambda x: np.broadcast_to(np.float32(0), x.shape), shapes)
    arrays = to_theirs(zeros, module.checkpoints()["torchvision"])
    assert {k: v.shape for k, v in arrays.items()} == expected
    assert alexnet().checkpoints() == {}


@pytest.mark.parametrize("shape", [(6, 6), (13, 9), (3, 1), (7, 12)])
def test_adaptive_pooling_averages_parts_that_cover_all(shape, random_inputs):
    images = random_inputs(2, *shape, 3)
    actual = jax.jit(functools.partial(adaptive_avg_pool, size=6))(images)
    (rows, columns) = (
        [
            slice(int(np.floor(i * n / 6)), int(np.ceil((i + 1) * n / 6)))
            for i in range(6)
        ]
        for n in shape
    )
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            part = images[:, row, column].mean(axis=(1, 2))
            np.testing.assert_allclose(actual[:, i, j], part, atol=1e-6)


@pytest.mark.parametrize(
    "module, channels",
    [
        (alexnet(), (96, 256, 384, 384, 256)),
        (alexnet_one_tower(), (64, 192, 384, 256, 256)),
    ],
)
def test_layers_have_the_published_shapes(module, channels):
    """Of section 3.5 and figure 2; at that size, no average is taken."""
    shapes = jax.eval_shape(functional(module).init, jax.random.key(0))
    see = functools.partial(features, module)
    _, seen = jax.eval_shape(see, shapes, *module.example())
    sizes = zip((27, 13, 13, 13, 6), channels, strict=True)
    assert {name: x.shape[1:] for name, x in seen.items()} == {
        **{f"layer{i}": (n, n, c) for i, (n, c) in enumerate(sizes, start=1)},
        "hidden_0": (4096,),
        "hidden_1": (4096,),
    }
    seen_by_conv2 = channels[0] // module.towers
    assert shapes["params"]["conv2"]["kernel"].shape[2] == seen_by_conv2


def test_a_tower_sees_nothing_of_the_other(see, tiny):
    module, variables, images = tiny
    see = functools.partial(see, module.clone(response_norm=False))
    conv1 = jax.tree.map(lambda x: x.copy(), variables["params"]["conv1"])
    conv1["kernel"][..., 2:] = 0  # Blinds the second tower.
    params = {**variables["params"], "conv1": conv1}
    (_, seen), (_, blinded) = see(variables, images), see({"params": params}, images)
    same = seen["layer2"] == blinded["layer2"]
    assert same[..., :4].all() and not same[..., 4:].all()
    assert not (seen["layer3"] == blinded["layer3"])[..., :2].all()


def test_the_published_network_begins_as_published():
    module = AlexNet(hidden_sizes=(64, 64), num_classes=5)
    params = jax.jit(functional(module).init)(jax.random.key(0))["params"]
    for name, layer in params.items():
        np.testing.assert_allclose(np.std(layer["kernel"]), 0.01, rtol=0.1)
        one = name in ("conv2", "conv4", "conv5", "dense_0", "dense_1")
        assert np.all(np.asarray(layer["bias"]) == (1 if one else 0)), name


def test_the_later_network_begins_as_in_torch():
    module = alexnet_one_tower(hidden_sizes=(64, 64), num_classes=50)
    params = jax.jit(functional(module).init)(jax.random.key(0))["params"]
    for name, layer in params.items():
        bound = np.float32(np.prod(layer["kernel"].shape[:-1]) ** -0.5)
        for array in map(np.asarray, layer.values()):
            assert 0.9 * bound < np.abs(array).max() <= bound, name
            assert np.abs(array.mean()) < 0.5 * bound, name


@pytest.mark.parametrize(
    "original", [True, pytest.param(False, marks=pytest.mark.slow)]
)
def test_dropout_is_behind_or_in_front_of_the_hidden_layers(apply, original, tiny):
    module, variables, images = tiny
    blind = module.clone(original=original, dropout=1.0)
    train = jax.jit(functools.partial(functional(blind).apply, train=True))
    trained, _ = train(variables, images, key=jax.random.key(0))
    params = variables["params"]
    expected = 0
    if not original:  # The last hidden layer sees nothing, and speaks.
        expected = np.maximum(params["dense_1"]["bias"], 0) @ params["head"]["kernel"]
    expected = np.broadcast_to(expected + params["head"]["bias"], trained.shape)
    np.testing.assert_allclose(trained, expected, rtol=1e-5)
    evaluated = apply(blind, variables, images)
    plain = functools.partial(apply, module.clone(original=original, dropout=0.0))
    np.testing.assert_array_equal(evaluated, plain(variables, images))
    assert not np.allclose(trained, evaluated)


@pytest.mark.parametrize("original", [True, False])
def test_parameters_have_the_dtype_that_is_asked_for(original):
    module = AlexNet(original=original, param_dtype="bfloat16")
    params = jax.eval_shape(functional(module).init, jax.random.key(0))["params"]
    assert {str(x.dtype) for x in jax.tree.leaves(params)} == {"bfloat16"}


def test_bfloat16_computes_near_float32(apply, tiny, assert_close):
    module, variables, images = tiny
    outputs = apply(module.clone(dtype="bfloat16"), variables, images)
    assert outputs.dtype == jnp.bfloat16
    expected = apply(module, variables, images)
    assert_close(np.float32(outputs), expected, 0.05)


def test_another_readout_or_none_keeps_the_rest(apply, see, tiny):
    module, variables, images = tiny
    _, seen = see(module, variables, images)
    params = {k: v for k, v in variables["params"].items() if k != "head"}
    headless = module.clone(num_classes=None)
    outputs = apply(headless, {"params": params}, images)
    np.testing.assert_allclose(outputs, seen["hidden_1"], rtol=1e-6)
    other = jax.eval_shape(
        functional(module.clone(num_classes=9), images).init, jax.random.key(0)
    )
    shapes = jax.eval_shape(lambda x: x, params)
    del other["params"]["head"]
    chex.assert_trees_all_equal_shapes(other["params"], shapes)


def test_weights_of_any_width_are_laid_out_as_torchvisions(tmp_path, random_variables):
    module = AlexNet((4, 8, 4, 4, 3), (8, 8), 3, 1, False, original=False)
    variables, path = random_variables(module), tmp_path / "x.safetensors"
    save(path, variables, of=module, format="torchvision")
    loaded, report = load(path, into=module)
    assert report.format == "torchvision"
    chex.assert_trees_all_equal(loaded, variables)
