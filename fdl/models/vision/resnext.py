"""ResNeXt: residual networks with grouped convolutions."""

from typing import Any

from fdl.models.vision.resnet import ResNet


def resnext50_32x4d(**options: Any) -> ResNet:
    """ResNeXt-50 (32×4d), 32 groups of 4 channels each; 25,028,904 parameters.

    Args:
      **options: Other attributes of `ResNet`.

    References:
      Xie et al., `Aggregated Residual Transformations for Deep Neural Networks
      <https://arxiv.org/abs/1611.05431>`_, 2016.
    """
    return ResNet((3, 4, 6, 3), True, **{"inner_width": 128, "groups": 32, **options})
