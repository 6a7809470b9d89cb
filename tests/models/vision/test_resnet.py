import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.models.pretrained import resnet as formats

SMALL = {  # Options of torchvision's, and ours: stage sizes, bottlenecks, all others.
    "BasicBlock": ({}, ((1, 2, 1, 1), False), {}),
    "Bottleneck": ({}, ((1, 1, 2, 1), True), {}),
    "small images": ({}, ((1, 1, 1, 1), False), {"small_images": True}),
    "ResNeXt": (
        {"groups": 4, "width_per_group": 8},
        ((1, 1, 1, 1), True),
        {"inner_width": 32, "groups": 4},
    ),
    "wide": ({"width_per_group": 128}, ((1, 1, 1, 1), True), {"inner_width": 128}),
}
every_form = pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name == "wide")) for name in SMALL],
)


def small(name):
    _, structure, options = SMALL[name]
    return models.ResNet(*structure, num_classes=7, **options)


def images_for(name, random_inputs):
    size = 16 if name == "small images" else 40
    # With other images some unit lies so near to zero that rounding switches it on.
    return random_inputs(2, size, size, 3, seed=1)


@every_form
def test_resnets_are_those_of_torchvision(
    apply, name, references, random_variables, random_inputs
):
    module, images = small(name), images_for(name, random_inputs)
    variables = random_variables(module)
    references.agree(name, apply(module, variables, images))


def test_stages_are_named_and_the_last_is_what_the_head_sees(
    random_variables, random_inputs, assert_close
):
    module = models.ResNet((1, 1, 1, 1), True, width=4)
    variables, images = random_variables(module), random_inputs(2, 64, 64, 3)
    run = jax.jit(functools.partial(models.features, module))
    logits, seen = run(variables, images)
    assert {name: x.shape for name, x in seen.items()} == {
        f"layer{i + 1}": (2, 16 // 2**i, 16 // 2**i, 16 * 2**i) for i in range(4)
    }
    head = variables["params"]["head"]
    pooled = seen["layer4"].mean(axis=(1, 2))
    assert_close(pooled @ head["kernel"] + head["bias"][None], logits, 1e-5)


def test_convolutions_begin_with_he_normal_and_blocks_as_the_identity():
    module = models.ResNet((1, 1), False, small_images=True)
    params = jax.jit(models.functional(module).init)(jax.random.key(0))["params"]
    kernel = params["layer2_0"]["conv2"]["kernel"]
    expected = np.sqrt(2 / (3 * 3 * 128))  # Over what goes out of a pixel.
    np.testing.assert_allclose(jnp.std(kernel), expected, rtol=0.01)
    assert jnp.abs(kernel).max() > 4 * expected  # It is not truncated.
    for block in ("layer1_0", "layer2_0"):
        assert not params[block]["bn2"]["scale"].any()
        assert (params[block]["bn1"]["scale"] == 1).all()


@pytest.mark.oracle
@every_form
def test_resnets_agree_with_torchvision(
    name, references, agrees_with_torch, random_inputs, torch
):
    from torchvision.models import resnet

    theirs, (stage_sizes, bottleneck), options = SMALL[name]
    block = resnet.Bottleneck if bottleneck else resnet.BasicBlock
    reference = resnet.ResNet(block, list(stage_sizes), num_classes=7, **theirs)
    if options.get("small_images"):
        reference.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
        reference.maxpool = torch.nn.Identity()
    rules = formats.TORCHVISION
    images = images_for(name, random_inputs)
    references.check(name, agrees_with_torch(small(name), reference, rules, images))


@pytest.mark.oracle
def test_timm_names_resnets_as_torchvision_does(torch):
    import timm
    from torchvision.models import resnet

    with torch.device("meta"):
        theirs = timm.create_model("resnet50").state_dict()
        expected = resnet.resnet50().state_dict()
    assert {k: v.shape for k, v in theirs.items()} == {
        k: v.shape for k, v in expected.items()
    }
