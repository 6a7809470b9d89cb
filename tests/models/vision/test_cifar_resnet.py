import pytest

from fdl.models.pretrained import resnet as formats
from fdl.models.vision import cifar_resnet

WIDTHS = (16, 32, 64)
every_option = pytest.mark.parametrize("option", ["A", "B"])


def small(option):
    module = cifar_resnet.resnet20(projection=option == "B", num_classes=7)
    return module.clone(stage_sizes=(1, 2, 1))


@every_option
def test_shortcuts_are_those_of_the_paper(
    apply, option, references, random_variables, random_inputs
):
    module, images = small(option), random_inputs(2, 12, 12, 3)
    variables = random_variables(module)
    references.agree(option, apply(module, variables, images))


def reference_of(torch, option, stage_sizes, num_classes):
    """Section 4.2 of the paper: 6n + 2 layers of 16, 32 and 64 filters."""
    nn, pad = torch.nn, torch.nn.functional.pad

    class Block(nn.Module):
        def __init__(self, before, after):
            super().__init__()
            self.before, self.after = before, after
            self.stride = 1 if before == after else 2
            self.conv1 = nn.Conv2d(before, after, 3, self.stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(after)
            self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(after)
            if option == "B" and before != after:
                self.downsample = nn.Sequential(
                    nn.Conv2d(before, after, 1, self.stride, bias=False),
                    nn.BatchNorm2d(after),
                )

        def shortcut(self, x):
            if self.before == self.after:
                return x
            if option == "B":
                return self.downsample(x)
            new_channels = (0, self.after - self.before)
            return pad(x[:, :, ::2, ::2], (0, 0, 0, 0, *new_channels))

        def forward(self, x):
            y = torch.relu(self.bn1(self.conv1(x)))
            return torch.relu(self.shortcut(x) + self.bn2(self.conv2(y)))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(16)
            before = 16
            for i, (size, after) in enumerate(zip(stage_sizes, WIDTHS, strict=True), 1):
                blocks = [
                    Block(before if j == 0 else after, after) for j in range(size)
                ]
                setattr(self, f"layer{i}", nn.Sequential(*blocks))
                before = after
            self.fc = nn.Linear(64, num_classes)

        def forward(self, x):
            x = torch.relu(self.bn1(self.conv1(x)))
            x = self.layer3(self.layer2(self.layer1(x)))
            return self.fc(x.mean((2, 3)))

    return Net()


@pytest.mark.oracle
@every_option
def test_shortcuts_agree_with_a_definition_in_torch(
    option, references, agrees_with_torch, random_inputs, torch
):
    module, images = small(option), random_inputs(2, 12, 12, 3)
    reference = reference_of(torch, option, module.stage_sizes, num_classes=7)
    outputs = agrees_with_torch(module, reference, formats.TORCHVISION, images)
    references.check(option, outputs)
