"""Residual networks for CIFAR (He et al., 2015, section 4.2)."""

from typing import Any

from fdl.models.vision.resnet import ResNet


def resnet20(**options: Any) -> ResNet:
    """ResNet-20 for images of 32×32; 269,722 parameters.

    Args:
      **options: Other attributes of `ResNet`; ``projection=True`` makes it option B.
    """
    return _resnet(20, options)


def resnet32(**options: Any) -> ResNet:
    """ResNet-32 for images of 32×32; 464,154 parameters.

    Args:
      **options: Other attributes of `ResNet`; ``projection=True`` makes it option B.
    """
    return _resnet(32, options)


def resnet44(**options: Any) -> ResNet:
    """ResNet-44 for images of 32×32; 658,586 parameters.

    Args:
      **options: Other attributes of `ResNet`; ``projection=True`` makes it option B.
    """
    return _resnet(44, options)


def resnet56(**options: Any) -> ResNet:
    """ResNet-56 for images of 32×32; 853,018 parameters.

    Args:
      **options: Other attributes of `ResNet`; ``projection=True`` makes it option B.
    """
    return _resnet(56, options)


def resnet110(**options: Any) -> ResNet:
    """ResNet-110 for images of 32×32; 1,727,962 parameters.

    Args:
      **options: Other attributes of `ResNet`; ``projection=True`` makes it option B.
    """
    return _resnet(110, options)


def _resnet(depth: int, options: dict[str, Any]) -> ResNet:
    # Parameter-free shortcuts (option A), and all scales of batch norm start at one.
    published: dict[str, Any] = {
        "num_classes": 10,
        "width": 16,
        "projection": False,
        "zero_init": False,
        "small_images": True,
    }
    # Depth is 6n + 2: three stages of n blocks of two convolutions, stem and output.
    return ResNet(((depth - 2) // 6,) * 3, False, **{**published, **options})
