"""VGG networks, as torchvision publishes them."""

from collections.abc import Sequence

from fdl.models.pretrained.layer_rules import conv, dense
from fdl.models.pretrained.resnet import batch_norm as norm
from fdl.models.pretrained.rules import Rule, of_flat_images


def torchvision(
    stage_sizes: Sequence[int], batch_norm: bool, channels: int, pooled_size: int
) -> list[Rule]:
    """The rules of one network, whose layers are numbered through.

    Activations and poolings, which learn nothing, have numbers too.

    Args:
      stage_sizes: Convolutions of each block.
      batch_norm: Whether a batch norm follows each of them.
      channels: Of what the dense layers see.
      pooled_size: Its height and width.
    """
    rules, number = [], 0
    for block, num_convs in enumerate(stage_sizes, start=1):
        for i in range(1, num_convs + 1):
            rules += conv(f"features.{number}", f"block{block}/conv{i}")
            if batch_norm:
                rules += norm(f"features.{number + 1}", f"block{block}/bn{i}")
            number += 3 if batch_norm else 2
        number += 1
    return [
        *rules,
        *dense(
            "classifier.0",
            "dense_0",
            of_flat_images(channels, pooled_size, pooled_size),
        ),
        *dense("classifier.3", "dense_1"),
        *dense("classifier.6", "head"),
    ]
