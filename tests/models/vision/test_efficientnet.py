import functools

import flax.linen as nn
import jax
import numpy as np
import pytest

from fdl import models
from fdl.models import layers
from fdl.models.layers.inverted_residual import Stage
from fdl.models.pretrained import efficientnet as formats
from fdl.models.vision import efficientnet
from fdl.models.vision.efficientnet import EfficientNet

STAGES = (Stage(1, 3, 1, 16, 1), Stage(6, 5, 2, 24, 2), Stage(4, 3, 1, 40, 1))
SMALL = {
    "published size": EfficientNet(STAGES, num_classes=7),
    "scaled": EfficientNet(
        STAGES, num_classes=7, width_multiplier=0.6, depth_multiplier=1.4
    ),
}
every_size = pytest.mark.parametrize("name", SMALL)


@every_size
def test_efficientnets_are_those_of_torchvision(
    apply, name, references, random_variables, random_inputs
):
    module, images = SMALL[name], random_inputs(2, 20, 20, 3)
    variables = random_variables(module)
    references.agree(name, apply(module, variables, images))


def test_stages_are_named_and_stride_once(random_variables, random_inputs):
    module, images = SMALL["published size"], random_inputs(2, 20, 20, 3)
    _, seen = jax.eval_shape(
        functools.partial(models.features, module), random_variables(module), images
    )
    assert {name: x.shape for name, x in seen.items()} == {
        "stage1": (2, 10, 10, 16),
        "stage2": (2, 5, 5, 24),
        "stage3": (2, 5, 5, 40),
    }


def rates_of(module):
    """The chance of each residual block to be skipped, in their order."""
    rates = []

    def look(call, args, kwargs, context):
        if isinstance(context.module, layers.StochasticDepth):
            rates.append(context.module.rate)
        return call(*args, **kwargs)

    with nn.intercept_methods(look):
        jax.eval_shape(models.functional(module).init, jax.random.key(0))
    return rates


def test_later_blocks_are_skipped_more_often():
    rates = rates_of(efficientnet.efficientnet_b0(stochastic_depth=0.2))
    # Of the 16 blocks, 7 change the shape and so cannot be skipped.
    residual = [2, 4, 6, 7, 9, 10, 12, 13, 14]
    np.testing.assert_allclose(rates, [0.2 * i / 16 for i in residual])


def theirs_of(module, **options):
    from torchvision.models import efficientnet as theirs

    before, stages = 32, []
    for s in module.stages:
        sizes = (s.expansion, s.kernel, s.stride, before, s.features, s.num_blocks)
        scale = (module.width_multiplier, module.depth_multiplier)
        stages.append(theirs.MBConvConfig(*sizes, *scale))
        before = s.features
    return theirs.EfficientNet(stages, num_classes=7, dropout=0.0, **options)


@pytest.mark.oracle
@every_size
def test_efficientnets_agree_with_torchvision(
    name, references, agrees_with_torch, random_inputs, torch
):
    module, images = SMALL[name], random_inputs(2, 20, 20, 3)
    reference = theirs_of(module, stochastic_depth_prob=0.0)
    rules = formats.TORCHVISION
    references.check(name, agrees_with_torch(module, reference, rules, images))


@pytest.mark.oracle
def test_blocks_are_skipped_as_often_as_in_torchvision(torch):
    module = SMALL["scaled"].clone(stochastic_depth=0.3)
    reference = theirs_of(module, stochastic_depth_prob=0.3)
    blocks = [m for m in reference.modules() if getattr(m, "use_res_connect", False)]
    expected = [block.stochastic_depth.p for block in blocks]
    np.testing.assert_allclose(rates_of(module), expected)
