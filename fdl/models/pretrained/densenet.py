"""Conversion rules of DenseNet for torchvision's and timm's checkpoints."""

from fdl.models.pretrained.resnet import batch_norm
from fdl.models.pretrained.rules import CONV, DENSE, Rule

_LAYER = "features.denseblock{block}.denselayer{layer}", "denseblock{block}_{layer}"
_TRANSITION = "features.transition{block}", "transition{block}"

TORCHVISION = [
    Rule("features.conv0.weight", "params/conv0/kernel", CONV),
    *batch_norm("features.norm{n}", "norm{n}"),
    *batch_norm(f"{_LAYER[0]}.norm{{n}}", f"{_LAYER[1]}/norm{{n}}"),
    Rule(f"{_LAYER[0]}.conv{{n}}.weight", f"params/{_LAYER[1]}/conv{{n}}/kernel", CONV),
    *batch_norm(f"{_TRANSITION[0]}.norm", f"{_TRANSITION[1]}_norm"),
    Rule(f"{_TRANSITION[0]}.conv.weight", f"params/{_TRANSITION[1]}_conv/kernel", CONV),
    Rule("classifier.weight", "params/head/kernel", DENSE),
    Rule("classifier.bias", "params/head/bias"),
]
