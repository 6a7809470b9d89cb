"""Conversion rules of ResNet for torchvision's and timm's checkpoints."""

from fdl.models.pretrained.rules import CONV, DENSE, Rule


def batch_norm(theirs: str, ours: str) -> list[Rule]:
    """Conversion rules of a batch normalisation: parameters and running statistics."""
    return [
        Rule(f"{theirs}.weight", f"params/{ours}/scale"),
        Rule(f"{theirs}.bias", f"params/{ours}/bias"),
        Rule(f"{theirs}.running_mean", f"batch_stats/{ours}/mean"),
        Rule(f"{theirs}.running_var", f"batch_stats/{ours}/var"),
        # PyTorch's count of batches, which a fixed momentum does not use.
        Rule(f"{theirs}.num_batches_tracked", ()),
    ]


_THEIRS, _OURS = "layer{stage}.{block}", "layer{stage}_{block}"

TORCHVISION = [
    Rule("conv1.weight", "params/conv1/kernel", CONV),
    *batch_norm("bn1", "bn1"),
    Rule(f"{_THEIRS}.conv{{n}}.weight", f"params/{_OURS}/conv{{n}}/kernel", CONV),
    *batch_norm(f"{_THEIRS}.bn{{n}}", f"{_OURS}/bn{{n}}"),
    Rule(
        f"{_THEIRS}.downsample.0.weight", f"params/{_OURS}/downsample_conv/kernel", CONV
    ),
    *batch_norm(f"{_THEIRS}.downsample.1", f"{_OURS}/downsample_bn"),
    Rule("fc.weight", "params/head/kernel", DENSE),
    Rule("fc.bias", "params/head/bias"),
]
