import functools

import jax
import pytest

from fdl import models
from fdl.models.layers.inverted_residual import Stage
from fdl.models.pretrained import mobilenet as formats
from fdl.models.vision.mobilenet import MobileNetV2

STAGES = (Stage(1, 3, 1, 16, 1), Stage(6, 3, 2, 24, 2), Stage(3, 3, 1, 32, 1))
SMALL = {
    "published width": MobileNetV2(STAGES, num_classes=7),
    "narrow": MobileNetV2(STAGES, num_classes=7, width_multiplier=0.35),
}
every_width = pytest.mark.parametrize("name", SMALL)


def images_beyond_six(random_inputs):
    """So large that ReLU6 differs from ReLU."""
    return 200 * random_inputs(2, 20, 20, 3)


@every_width
def test_mobilenets_are_those_of_torchvision(
    apply, name, references, random_variables, random_inputs
):
    module, images = SMALL[name], images_beyond_six(random_inputs)
    variables = random_variables(module)
    references.agree(name, apply(module, variables, images))


def test_stages_are_named_and_stride_once(random_variables, random_inputs):
    module, images = SMALL["published width"], random_inputs(2, 20, 20, 3)
    _, seen = jax.eval_shape(
        functools.partial(models.features, module), random_variables(module), images
    )
    assert {name: x.shape for name, x in seen.items()} == {
        "stage1": (2, 10, 10, 16),
        "stage2": (2, 5, 5, 24),
        "stage3": (2, 5, 5, 32),
    }


def test_no_feature_exceeds_six(apply, random_variables, random_inputs):
    module = SMALL["narrow"].clone(num_classes=None)
    variables = jax.tree.map(lambda x: 20 * x, random_variables(module))
    features = apply(module, variables, images_beyond_six(random_inputs))
    assert features.max() == 6


@pytest.mark.oracle
@every_width
def test_mobilenets_agree_with_torchvision(
    name, references, agrees_with_torch, random_inputs, torch
):
    from torchvision import models as theirs

    module, images = SMALL[name], images_beyond_six(random_inputs)
    reference = theirs.MobileNetV2(
        num_classes=7,
        width_mult=module.width_multiplier,
        inverted_residual_setting=[
            [s.expansion, s.features, s.num_blocks, s.stride] for s in STAGES
        ],
        dropout=0.0,
    )
    rules = formats.TORCHVISION
    references.check(name, agrees_with_torch(module, reference, rules, images))
