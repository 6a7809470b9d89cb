"""Conversion rules of VGG for torchvision's checkpoints."""

from collections.abc import Sequence

from fdl.models.pretrained.layer_rules import conv, dense
from fdl.models.pretrained.resnet import batch_norm as norm
from fdl.models.pretrained.rules import Rule, of_flat_images


def torchvision(
    stage_sizes: Sequence[int], channels: int, pooled_size: int, *, batch_norm: bool
) -> list[Rule]:
    """Conversion rules of a VGG network, whose layers are numbered consecutively.

    Args:
      stage_sizes: Number of convolutions in each block.
      channels: Number of channels of the input of the dense layers.
      pooled_size: Height and width of that input in pixels.
      batch_norm: Whether each convolution is followed by a batch normalisation.
    """
    rules, number = [], 0
    for block, num_convs in enumerate(stage_sizes, start=1):
        for i in range(1, num_convs + 1):
            rules += conv(f"features.{number}", f"block{block}/conv{i}")
            if batch_norm:
                rules += norm(f"features.{number + 1}", f"block{block}/bn{i}")
            # Activations and poolings are numbered too, though they have no parameters.
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
