"""Conversion rules of ConvNeXt for torchvision's and timm's checkpoints."""

from fdl.models.pretrained.layer_rules import conv, dense, layer_norm
from fdl.models.pretrained.rules import Rule, reshaped

_OURS = "stage{i}/layers_{j}"


def _torchvision_stage(stage: int) -> list[Rule]:
    """Rules of a stage, which has an odd number, and of the downsampling before it."""
    theirs = f"features.{2 * stage + 1}.{{j}}"
    ours = f"stage{stage}/layers_{{j}}"
    between, downsample = f"features.{2 * stage}", f"downsample{stage}"
    rules = [
        *conv(f"{theirs}.block.0", f"{ours}/conv"),
        *layer_norm(f"{theirs}.block.2", f"{ours}/norm"),
        *dense(f"{theirs}.block.3", f"{ours}/up"),
        *dense(f"{theirs}.block.5", f"{ours}/down"),
        Rule(
            f"{theirs}.layer_scale",
            f"params/{ours}/layer_scale",
            # Torchvision has [C, 1, 1], to scale images in NCHW.
            reshaped((-1,), (-1, 1, 1)),
        ),
    ]
    if stage > 0:
        rules += layer_norm(f"{between}.0", f"{downsample}_norm")
        rules += conv(f"{between}.1", f"{downsample}_conv")
    return rules


TORCHVISION = [
    *conv("features.0.0", "stem_conv"),
    *layer_norm("features.0.1", "stem_norm"),
    *(rule for stage in range(4) for rule in _torchvision_stage(stage)),
    *layer_norm("classifier.0", "norm"),
    *dense("classifier.2", "head"),
]

_THEIRS = "stages.{i}.blocks.{j}"

TIMM = [
    *conv("stem.0", "stem_conv"),
    *layer_norm("stem.1", "stem_norm"),
    *layer_norm("stages.{i}.downsample.0", "downsample{i}_norm"),
    *conv("stages.{i}.downsample.1", "downsample{i}_conv"),
    *conv(f"{_THEIRS}.conv_dw", f"{_OURS}/conv"),
    *layer_norm(f"{_THEIRS}.norm", f"{_OURS}/norm"),
    *dense(f"{_THEIRS}.mlp.fc1", f"{_OURS}/up"),
    *dense(f"{_THEIRS}.mlp.fc2", f"{_OURS}/down"),
    Rule(f"{_THEIRS}.gamma", f"params/{_OURS}/layer_scale"),
    *layer_norm("head.norm", "norm"),
    *dense("head.fc", "head"),
]
