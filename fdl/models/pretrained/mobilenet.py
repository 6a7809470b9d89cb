"""Conversion rules of MobileNetV2 for torchvision's checkpoints."""

from fdl.models.pretrained.resnet import batch_norm
from fdl.models.pretrained.rules import CONV, DENSE, Rule


def _convolution(theirs: str, their_norm: str, ours: str) -> list[Rule]:
    return [
        Rule(f"{theirs}.weight", f"params/{ours}/kernel", CONV),
        *batch_norm(their_norm, f"{ours}_norm"),
    ]


# The first block has no expansion, so the layers of all others are numbered one higher.
_FIRST, _BLOCK = "features.1.conv", "features.{block}.conv"

TORCHVISION = [
    *_convolution(f"{_FIRST}.0.0", f"{_FIRST}.0.1", "separable1/depthwise"),
    *_convolution(f"{_FIRST}.1", f"{_FIRST}.2", "separable1/project"),
    *_convolution(f"{_BLOCK}.0.0", f"{_BLOCK}.0.1", "inverted{block}/expand"),
    *_convolution(f"{_BLOCK}.1.0", f"{_BLOCK}.1.1", "inverted{block}/depthwise"),
    *_convolution(f"{_BLOCK}.2", f"{_BLOCK}.3", "inverted{block}/project"),
    Rule("features.{i}.0.weight", "params/conv{i}/kernel", CONV),
    *batch_norm("features.{i}.1", "norm{i}"),
    Rule("classifier.1.weight", "params/head/kernel", DENSE),
    Rule("classifier.1.bias", "params/head/bias"),
]
