"""Conversion rules of AlexNet for torchvision's checkpoints."""

from fdl.models.pretrained.layer_rules import conv, dense
from fdl.models.pretrained.rules import Rule, of_flat_images


def torchvision(channels: int) -> list[Rule]:
    """Conversion rules of torchvision's AlexNet.

    Args:
      channels: Number of channels of the last convolution.
    """
    return [
        *conv("features.0", "conv1"),
        *conv("features.3", "conv2"),
        *conv("features.6", "conv3"),
        *conv("features.8", "conv4"),
        *conv("features.10", "conv5"),
        *dense("classifier.1", "dense_0", of_flat_images(channels, 6, 6)),
        *dense("classifier.4", "dense_1"),
        *dense("classifier.6", "head"),
    ]
