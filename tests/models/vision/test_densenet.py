import functools

import jax
import pytest

from fdl import models
from fdl.models.pretrained import densenet as formats
from fdl.models.vision import densenet

SMALL = densenet.DenseNet((2, 3), 4, num_classes=7, width=8, bottleneck=2)


def test_densenets_are_those_of_torchvision(
    apply, references, random_variables, random_inputs
):
    images, variables = random_inputs(2, 40, 40, 3), random_variables(SMALL)
    references.agree("DenseNet", apply(SMALL, variables, images))


def test_layers_add_channels_and_transitions_take_half(random_variables, random_inputs):
    images = random_inputs(2, 40, 40, 3)
    _, seen = jax.eval_shape(
        functools.partial(models.features, SMALL), random_variables(SMALL), images
    )
    assert {name: x.shape for name, x in seen.items()} == {
        "denseblock1": (2, 10, 10, 8 + 2 * 4),
        "denseblock2": (2, 5, 5, (8 + 2 * 4) // 2 + 3 * 4),
    }


@pytest.mark.oracle
def test_densenets_agree_with_torchvision(
    references, agrees_with_torch, random_inputs, torch
):
    from torchvision.models import DenseNet

    images = random_inputs(2, 40, 40, 3)
    reference = DenseNet(4, (2, 3), 8, bn_size=2, num_classes=7)
    rules = formats.TORCHVISION
    outputs = agrees_with_torch(SMALL, reference, rules, images, train=False)
    references.check("DenseNet", outputs)
    # In training, what the gradient of the first scale sums cancels but for a
    # ten-thousandth, as norms follow: more than float32 can tell.
    reference.double().zero_grad()
    with jax.enable_x64():
        module, images = SMALL.clone(param_dtype="float64"), images.astype("float64")
        agrees_with_torch(module, reference, rules, images, gradient_tolerance=1e-10)


@pytest.mark.oracle
def test_timm_names_densenets_as_torchvision_does(torch):
    import timm
    from torchvision.models import densenet121

    with torch.device("meta"):
        theirs = timm.create_model("densenet121").state_dict()
        expected = densenet121().state_dict()
    assert {k: v.shape for k, v in theirs.items()} == {
        k: v.shape for k, v in expected.items()
    }
