import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.models.pretrained.resnet import batch_norm
from fdl.models.pretrained.rules import CONV, DENSE, Rule
from fdl.models.vision import wide_resnet

# Where the channels change, where the resolution does, and where neither does.
SMALL = wide_resnet.WideResNet((2, 1, 1), 2, num_classes=7)

THEIRS, OURS = "layer{stage}.{block}", "layer{stage}_{block}"
RULES = [
    Rule("conv1.weight", "params/conv1/kernel", CONV),
    *batch_norm(f"{THEIRS}.bn{{n}}", f"{OURS}/bn{{n}}"),
    Rule(f"{THEIRS}.conv{{n}}.weight", f"params/{OURS}/conv{{n}}/kernel", CONV),
    Rule(f"{THEIRS}.shortcut.weight", f"params/{OURS}/shortcut/kernel", CONV),
    *batch_norm("bn1", "bn1"),
    Rule("fc.weight", "params/head/kernel", DENSE),
    Rule("fc.bias", "params/head/bias"),
]


def test_wide_resnets_are_those_of_the_paper(
    apply, references, random_variables, random_inputs
):
    images, variables = random_inputs(2, 12, 12, 3), random_variables(SMALL)
    references.agree("WRN", apply(SMALL, variables, images))


def test_dropout_lies_between_the_convolutions_of_a_block(
    random_variables, random_inputs
):
    """With all of it dropped, only the shortcuts are left."""
    module = SMALL.clone(dropout=1.0)
    model, variables = models.functional(module), random_variables(module)
    images = random_inputs(2, 12, 12, 3)
    silent = jax.tree.map_with_path(
        lambda path, x: x * 0 if "conv2" in jax.tree_util.keystr(path) else x, variables
    )
    run = jax.jit(model.apply, static_argnames="train")
    key = jax.random.key(0)
    dropped, _ = run(variables, images, key=key, train=True)
    expected, _ = run(silent, images, key=key, train=True)
    np.testing.assert_allclose(dropped, expected, rtol=1e-6)
    assert jnp.ptp(run(variables, images)[0] - run(silent, images)[0]) > 0.1


def reference_of(torch, stage_sizes, widening, num_classes):
    """Table 1 and figure 1 (c) of the paper, without its dropout."""
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, before, after, stride):
            super().__init__()
            self.bn1 = nn.BatchNorm2d(before)
            self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(after)
            self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
            if before != after:
                self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False)

        def forward(self, x):
            active = torch.relu(self.bn1(x))
            if hasattr(self, "shortcut"):
                x = self.shortcut(active)
            return x + self.conv2(torch.relu(self.bn2(self.conv1(active))))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
            before = 16
            for i, size in enumerate(stage_sizes):
                after = 16 * widening * 2**i
                blocks = [Block(before, after, 1 if i == 0 else 2)]
                blocks += [Block(after, after, 1) for _ in range(size - 1)]
                setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
                before = after
            self.bn1 = nn.BatchNorm2d(before)
            self.fc = nn.Linear(before, num_classes)

        def forward(self, x):
            x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
            return self.fc(torch.relu(self.bn1(x)).mean((2, 3)))

    return Net()


@pytest.mark.oracle
def test_wide_resnets_agree_with_a_definition_in_torch(
    references, agrees_with_torch, random_inputs, torch
):
    images = random_inputs(2, 12, 12, 3)
    reference = reference_of(torch, SMALL.stage_sizes, SMALL.widening, num_classes=7)
    references.check("WRN", agrees_with_torch(SMALL, reference, RULES, images))
