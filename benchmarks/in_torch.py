"""The same networks in PyTorch, from the layers that it comes with."""

import torch
from torch import nn


def mlp():
    """784-512-512-10."""
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(784, 512), nn.ReLU()),
        *(nn.Linear(512, 512), nn.ReLU()),
        nn.Linear(512, 10),
    )


def cnn():
    """Two convolutions with max-pooling, a hidden layer and a readout."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 49, 128), nn.ReLU()),
        nn.Linear(128, 10),
    )


class Block(nn.Module):
    """A basic block."""

    def __init__(self, size, features, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(size, features, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(features)
        self.downsample = nn.Sequential()
        if stride > 1:
            shortcut = nn.Conv2d(size, features, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(features))

    def forward(self, x):
        """Maps images to images."""
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(y + self.downsample(x))


class ResNet18(nn.Module):
    """ResNet-18 for images of 32×32."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        size = 64
        for i in range(4):
            features, stride = 64 * 2**i, 2 if i else 1
            blocks = Block(size, features, stride), Block(features, features, 1)
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
            size = features
        self.fc = nn.Linear(512, 10)

    def forward(self, x):
        """Maps images to logits."""
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


resnet18 = ResNet18


def alexnet():
    """The one-tower AlexNet; without dropout, so that the losses can be compared."""
    sizes = [(3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1)]
    sizes += [(384, 256, 3, 1, 1), (256, 256, 3, 1, 1)]
    layers = []
    for i, size in enumerate(sizes):
        layers += [nn.Conv2d(*size), nn.ReLU()]
        if i in (0, 1, 4):
            layers += [nn.MaxPool2d(3, 2)]
    return nn.Sequential(
        *layers,
        *(nn.Flatten(), nn.Linear(9216, 4096), nn.ReLU()),
        *(nn.Linear(4096, 4096), nn.ReLU()),
        nn.Linear(4096, 1000),
    )


class LSTM(nn.Module):
    """An LSTM over features [B, T, D], and a readout of its last state."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(64, 256, batch_first=True)
        self.head = nn.Linear(256, 10)

    def forward(self, x):
        """Maps sequences to logits."""
        return self.head(self.lstm(x)[0][:, -1])


lstm = LSTM


class Transformer(nn.Module):
    """A pre-norm language model of four layers with four heads, tied embedding."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(256, 256)
        self.positions = nn.Embedding(128, 256)
        options = {"dropout": 0.0, "batch_first": True, "norm_first": True}
        gelu = nn.GELU(approximate="tanh")
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(256, 4, 1024, activation=gelu, **options)
            for _ in range(4)
        )
        self.norm = nn.LayerNorm(256)

    def forward(self, tokens):
        """Maps tokens [B, T] to logits [B, T, V]."""
        length = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        x = self.tokens(tokens) + self.positions(torch.arange(length))
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=True)
        return self.norm(x) @ self.tokens.weight.T


transformer = Transformer
