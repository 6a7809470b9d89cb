"""Residual networks of many narrow paths."""

from typing import Any

from fdl.models.vision.resnet import ResNet


def resnext50_32x4d(**options: Any) -> ResNet:
    """ResNeXt-50 (32×4d), of 32 paths each 4 channels wide; 25,028,904 parameters.

    Args:
      **options: All others of `ResNet`.

    References:
      Xie et al., `Aggregated Residual Transformations for Deep Neural Networks
      <https://arxiv.org/abs/1611.05431>`_, 2016.
    """
    return ResNet((3, 4, 6, 3), True, **{"inner_width": 128, "groups": 32, **options})
