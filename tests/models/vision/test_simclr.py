import functools

import chex
import jax
import jax.numpy as jnp
import pytest

from fdl.models import functional
from fdl.models.pretrained import resnet
from fdl.models.pretrained.layer_rules import dense
from fdl.models.pretrained.resnet import batch_norm
from fdl.models.pretrained.rules import DENSE, Rule
from fdl.models.vision.resnet import ResNet
from fdl.models.vision.simclr import ProjectionHead, SimCLR, simclr_resnet50

BACKBONE = ResNet((1, 1, 1, 1), False, num_classes=None)
HEADS = {
    "with biases": {},
    "normalised": {"num_layers": 3, "hidden_size": 24, "batch_norm": True},
}
every_head = pytest.mark.parametrize("name", HEADS)


def small(name):
    return SimCLR(BACKBONE, projection_size=7, **HEADS[name])


def rules(name):
    """Torchvision's of the trunk, and those of a sequence of layers."""
    trunk = [
        rule._replace(
            theirs=f"backbone.{rule.theirs}",
            ours=tuple(
                path.replace("/", "/backbone/", 1)
                for path in rule.paths
                if "head" not in path
            ),
        )
        for rule in resnet.TORCHVISION
        if not rule.theirs.startswith("fc")
    ]
    if name == "with biases":
        return [*trunk, *dense("head.dense_{i}", "head/dense_{i}")]
    kernel = Rule("head.dense_{i}.weight", "params/head/dense_{i}/kernel", DENSE)
    return [*trunk, kernel, *batch_norm("head.bn_{i}", "head/bn_{i}")]


def written_in_torch(torch, name):
    """Torchvision's ResNet without its readout, and dense layers."""
    from torchvision.models import resnet

    trunk = resnet.ResNet(resnet.BasicBlock, [1, 1, 1, 1])
    trunk.fc = torch.nn.Identity()
    normalised = name == "normalised"
    sizes, layers = [512, 24, 24, 7] if normalised else [512, 512, 7], {}
    for i in range(len(sizes) - 1):
        layers[f"dense_{i}"] = torch.nn.Linear(*sizes[i : i + 2], bias=not normalised)
        if normalised:
            layers[f"bn_{i}"] = torch.nn.BatchNorm1d(sizes[i + 1])
        if i < len(sizes) - 2:
            layers[f"relu_{i}"] = torch.nn.ReLU()
    head = torch.nn.Sequential()
    for key, layer in layers.items():
        head.add_module(key, layer)
    reference = torch.nn.Sequential()
    reference.add_module("backbone", trunk)
    reference.add_module("head", head)
    return reference


@every_head
def test_projections_are_those_of_torch(
    apply, name, references, random_variables, random_inputs
):
    module, images = small(name), random_inputs(6, 33, 33, 3)
    variables = random_variables(module)
    references.agree(name, apply(module, variables, images))


@pytest.mark.oracle
@every_head
def test_projections_agree_with_torch(
    name, references, torch, agrees_with_torch, random_inputs
):
    reference, images = written_in_torch(torch, name), random_inputs(6, 33, 33, 3)
    outputs = agrees_with_torch(small(name), reference, rules(name), images)
    references.check(name, outputs)


def test_features_are_what_the_backbone_gives_out(
    apply, see, random_variables, random_inputs
):
    tiny = ResNet((1,), False, num_classes=None, width=4, small_images=True)
    module, images = SimCLR(tiny, **HEADS["normalised"]), random_inputs(3, 8, 8, 3)
    variables = random_variables(module)
    backbone, head = (
        {name: tree[part] for name, tree in variables.items()}
        for part in ("backbone", "head")
    )
    see = functools.partial(see, module)
    projections, seen = see(variables, images)
    expected = apply(tiny, backbone, images)
    chex.assert_trees_all_close(seen["features"], expected, atol=1e-5)
    alone = ProjectionHead(**HEADS["normalised"])
    chex.assert_trees_all_close(projections, apply(alone, head, expected), atol=1e-4)


def test_the_types_hold_for_the_backbone_too():
    model = functional(simclr_resnet50(param_dtype="bfloat16", dtype="bfloat16"))
    shapes = jax.eval_shape(model.init, jax.random.key(0))
    assert {x.dtype for x in jax.tree.leaves(shapes["params"])} == {
        jnp.dtype("bfloat16")
    }
    images = jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.float32)
    projections, _ = jax.eval_shape(model.apply, shapes, images)
    assert projections.shape == (2, 128) and projections.dtype == jnp.bfloat16
