import jax
import pytest

from fdl import models
from fdl.models import weights

SMALL = {  # Name in torchvision: stage sizes, and whether blocks are bottlenecks.
    "BasicBlock": models.ResNet((1, 2, 1, 1), False, num_classes=7, width=64),
    "Bottleneck": models.ResNet((1, 1, 2, 1), True, num_classes=7, width=64),
}
every_block = pytest.mark.parametrize("name", SMALL)


@every_block
def test_resnets_are_those_of_torchvision(
    name, references, random_variables, random_inputs
):
    module, images = SMALL[name], random_inputs(2, 40, 40, 3)
    variables = random_variables(module)
    references.agree(name, jax.jit(module.apply)(variables, images))


@pytest.mark.oracle
@every_block
def test_resnets_agree_with_torchvision(
    name, references, agrees_with_torch, random_inputs
):
    from torchvision.models import resnet

    module, images = SMALL[name], random_inputs(2, 40, 40, 3)
    block = getattr(resnet, name)
    reference = resnet.ResNet(block, list(module.stage_sizes), num_classes=7)
    rules = weights.resnet.TORCHVISION
    outputs = agrees_with_torch(module, reference, rules, images)
    references.check(name, outputs)
