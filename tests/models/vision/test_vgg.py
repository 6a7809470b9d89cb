import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models import features, functional
from fdl.models.pretrained.convert import flatten, names_of
from fdl.models.vision import vgg

SMALL = vgg.VGG(
    (1, 1, 2, 2, 1), width=4, hidden_sizes=(16, 16), pooled_size=2, num_classes=7
)
SIZES = {"plain": 70, "batch norm": 70, "pooled": 100}  # Of images, in pixels.
every_form = pytest.mark.parametrize("form", SIZES)
NAMES = [f"vgg{n}{norm}" for n in (11, 13, 16, 19) for norm in ("", "_bn")]


@pytest.fixture
def small(form, random_inputs):
    images = random_inputs(2, SIZES[form], SIZES[form], 3)
    return SMALL.clone(batch_norm=form == "batch norm", dropout=0.0), images


@pytest.fixture
def tiny(random_inputs, random_variables):
    module = SMALL.clone(stage_sizes=(2, 1), batch_norm=True)
    images = random_inputs(3, 8, 8, 3)
    return module, random_variables(module, images), images


@every_form
def test_vggs_are_those_of_torchvision(
    apply, form, small, references, random_variables
):
    module, images = small
    outputs = apply(module, random_variables(module, images), images)
    references.agree(form, outputs)


@pytest.mark.oracle
@every_form
def test_vggs_agree_with_torchvision(form, small, references, agrees_with_torch, torch):
    from torch import nn
    from torchvision.models import vgg as theirs

    module, images = small
    plan = []
    for i, num_convs in enumerate(module.stage_sizes):
        plan += [4 * min(2**i, 8)] * num_convs + ["M"]
    with torch.device("meta"):
        reference = theirs.VGG(nn.Identity(), init_weights=False)
    reference.features = theirs.make_layers(plan, batch_norm=module.batch_norm)
    reference.avgpool = nn.AdaptiveAvgPool2d(2)
    reference.classifier = nn.Sequential(
        *(nn.Linear(4 * 32, 16), nn.ReLU(), nn.Dropout(0.0)),
        *(nn.Linear(16, 16), nn.ReLU(), nn.Dropout(0.0)),
        nn.Linear(16, 7),
    )
    rules, normed = module.checkpoints()["torchvision"], module.batch_norm
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


@pytest.mark.oracle
@pytest.mark.parametrize("name", NAMES)
def test_published_weights_fit(name, torch):
    import torchvision

    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)(init_weights=False).state_dict()
    module = getattr(vgg, name)()
    rules = module.checkpoints()["torchvision"]
    shapes = jax.eval_shape(functional(module).init, jax.random.key(0))
    names = [n for path in flatten(shapes) for n in names_of(path, rules)]
    learned = {n for n in theirs if not n.endswith("num_batches_tracked")}
    assert len(names) == len(learned) and {*names} == learned
    sizes = {n: x.size for p, x in flatten(shapes).items() for n in names_of(p, rules)}
    assert sizes == {n: theirs[n].numel() for n in learned}


@pytest.mark.parametrize(
    "name, stage_sizes",
    [  # Table 1 of the paper: A, B, D and E.
        ("vgg11", (1, 1, 2, 2, 2)),
        ("vgg13", (2, 2, 2, 2, 2)),
        ("vgg16", (2, 2, 3, 3, 3)),
        ("vgg19", (2, 2, 4, 4, 4)),
    ],
)
def test_layers_have_the_published_shapes(name, stage_sizes):
    module = getattr(vgg, name)()
    shapes = jax.eval_shape(functional(module).init, jax.random.key(0))
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    _, seen = jax.eval_shape(functools.partial(features, module), shapes, images)
    expected = {"hidden_0": (4096,), "hidden_1": (4096,)}
    for i, num_convs in enumerate(stage_sizes, start=1):
        size, channels = 224 // 2**i, min(64 * 2 ** (i - 1), 512)
        expected[f"layer{i}"] = (size, size, channels)
        for j in range(1, num_convs + 1):
            expected[f"block{i}/relu{j}"] = (2 * size, 2 * size, channels)
    assert {name: x.shape[1:] for name, x in seen.items()} == expected


@pytest.mark.usefixtures("optimized")  # Without the passes, XLA makes NaN here.
def test_rematerialised_blocks_have_the_same_gradients(random_inputs, random_variables):
    module = SMALL.clone(stage_sizes=(1,), batch_norm=True, dropout=0.0)
    images = random_inputs(3, 4, 4, 3)
    variables = random_variables(module, images)

    def gradients(module):
        def loss(params):
            outputs, state = module.apply(
                {**variables, "params": params},
                images,
                train=True,
                mutable=["batch_stats"],
            )
            return jnp.sum(jnp.sin(outputs)), state

        return jax.jit(jax.grad(loss, has_aux=True))(variables["params"])

    expected = gradients(module)
    chex.assert_tree_all_finite(expected)
    actual = gradients(module.clone(remat=True))
    chex.assert_trees_all_close(actual, expected, rtol=1e-4, atol=1e-5)


def test_hidden_units_are_dropped_in_training_alone(apply, tiny):
    module, variables, images = tiny
    blind = module.clone(dropout=1.0)
    train = jax.jit(functools.partial(functional(blind).apply, train=True))
    trained, _ = train(variables, images, key=jax.random.key(0))
    bias = variables["params"]["head"]["bias"]
    np.testing.assert_allclose(trained, np.broadcast_to(bias, (3, 7)))
    evaluated = apply(blind, variables, images)
    expected = apply(module.clone(dropout=0.0), variables, images)
    np.testing.assert_array_equal(evaluated, expected)
    assert not np.allclose(evaluated, trained)


def test_kernels_begin_as_in_torchvision():
    module = SMALL.clone(stage_sizes=(1, 1), width=32)
    params = jax.jit(functional(module).init)(jax.random.key(0))["params"]
    for block, channels in (("block1", 32), ("block2", 64)):
        kernel = params[block]["conv1"]["kernel"]
        std = np.sqrt(2 / (9 * channels))
        np.testing.assert_allclose(jnp.std(kernel), std, rtol=0.05)
    for name in ("dense_0", "dense_1", "head"):
        np.testing.assert_allclose(jnp.std(params[name]["kernel"]), 0.01, rtol=0.15)
        assert not params[name]["bias"].any()


def test_bfloat16_computes_near_float32(apply, tiny, assert_close):
    module, variables, images = tiny
    outputs = apply(module.clone(dtype="bfloat16"), variables, images)
    assert outputs.dtype == jnp.bfloat16
    expected = apply(module, variables, images)
    assert_close(np.float32(outputs), expected, 0.05)


def test_without_a_readout_the_last_hidden_layer_comes_out(apply, see, tiny):
    module, variables, images = tiny
    _, seen = see(module, variables, images)
    del variables["params"]["head"]
    headless = apply(module.clone(num_classes=None), variables, images)
    np.testing.assert_allclose(headless, seen["hidden_1"], rtol=1e-6)
