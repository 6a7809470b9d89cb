"""Conversion rules of EfficientNet for torchvision's checkpoints."""

from fdl.models.pretrained.resnet import batch_norm
from fdl.models.pretrained.rules import CONV, DENSE, Rule


def _block(theirs: str, ours: str, first: int) -> list[Rule]:
    """Rules of a block without its expansion, with layers numbered from `first`."""
    squeeze = f"{theirs}.{first + 1}"
    return [
        *_convolution(f"{theirs}.{first}", f"{ours}/depthwise"),
        Rule(f"{squeeze}.fc1.weight", f"params/{ours}/squeeze/kernel", CONV),
        Rule(f"{squeeze}.fc1.bias", f"params/{ours}/squeeze/bias"),
        Rule(f"{squeeze}.fc2.weight", f"params/{ours}/excite/kernel", CONV),
        Rule(f"{squeeze}.fc2.bias", f"params/{ours}/excite/bias"),
        *_convolution(f"{theirs}.{first + 2}", f"{ours}/project"),
    ]


def _convolution(theirs: str, ours: str) -> list[Rule]:
    return [
        Rule(f"{theirs}.0.weight", f"params/{ours}/kernel", CONV),
        *batch_norm(f"{theirs}.1", f"{ours}_norm"),
    ]


TORCHVISION = [
    # Blocks of the first stage have no expansion, so their layers start at 0.
    *_block("features.1.{block}.block", "separable1_{block}", first=0),
    *_convolution("features.{stage}.{block}.block.0", "inverted{stage}_{block}/expand"),
    *_block("features.{stage}.{block}.block", "inverted{stage}_{block}", first=1),
    Rule("features.{i}.0.weight", "params/conv{i}/kernel", CONV),
    *batch_norm("features.{i}.1", "norm{i}"),
    Rule("classifier.1.weight", "params/head/kernel", DENSE),
    Rule("classifier.1.bias", "params/head/bias"),
]
