"""Inverted residual blocks (MBConv) of MobileNetV2 and EfficientNet."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn

from fdl.models.layers.stochastic_depth import StochasticDepth
from fdl.types import Array


class Stage(NamedTuple):
    """Hyperparameters of consecutive blocks with the same width and resolution.

    Attributes:
      expansion: Expansion ratio: hidden channels per input channel of a block.
      kernel: Height and width of the depthwise convolutions.
      stride: Stride of the first block; that of the others is 1.
      features: Number of output channels.
      num_blocks: Number of blocks.
    """

    expansion: int
    kernel: int
    stride: int
    features: int
    num_blocks: int


class InvertedResidual(nn.Module):
    """Inverted residual block: 1×1 expansion, depthwise convolution, 1×1 projection.

    The input is added to the output where their shapes are equal.

    Attributes:
      expansion: Expansion ratio: hidden channels per input channel; where one, the
        first 1×1 convolution is left out.
      kernel: Height and width of the depthwise convolution.
      stride: Stride of the depthwise convolution.
      features: Number of output channels.
      squeeze: Number of channels of the squeeze-and-excitation bottleneck; no squeeze
        and excitation where zero.
      activation: Applied after each convolution but the last, which is linear.
      stochastic_depth: Probability that the residual branch is dropped in training.
      train: Whether stochastic depth is applied.
      conv: Constructor of convolutions: ``conv(features, kernel_size, ...)``.
      norm: Constructor of normalisations: ``norm(name=...)``.

    References:
      Sandler et al., `MobileNetV2: Inverted Residuals and Linear Bottlenecks
      <https://arxiv.org/abs/1801.04381>`_, 2018.

      Hu et al., `Squeeze-and-Excitation Networks <https://arxiv.org/abs/1709.01507>`_,
      2017.
    """

    expansion: int
    kernel: int
    stride: int
    features: int
    squeeze: int
    activation: Callable[[Array], Array]
    stochastic_depth: float
    train: bool
    conv: Callable[..., nn.Module]
    norm: Callable[..., nn.Module]

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps x [B, H, W, C] to [B, H / stride, W / stride, features]."""
        inner = self.expansion * x.shape[-1]
        y = x
        if self.expansion > 1:
            y = self.conv(inner, (1, 1), use_bias=False, name="expand")(y)
            y = self.activation(self.norm(name="expand_norm")(y))
        y = self.conv(
            inner,
            (self.kernel, self.kernel),
            strides=self.stride,
            # Symmetric, as in torchvision; "SAME" is not symmetric for stride 2.
            padding=self.kernel // 2,
            feature_group_count=inner,
            use_bias=False,
            name="depthwise",
        )(y)
        y = self.activation(self.norm(name="depthwise_norm")(y))
        if self.squeeze:
            weights = y.mean(axis=(1, 2), keepdims=True)
            weights = self.conv(self.squeeze, (1, 1), name="squeeze")(weights)
            weights = self.activation(weights)
            y *= nn.sigmoid(self.conv(inner, (1, 1), name="excite")(weights))
        y = self.conv(self.features, (1, 1), use_bias=False, name="project")(y)
        y = self.norm(name="project_norm")(y)
        if x.shape != y.shape:
            return y
        return x + StochasticDepth(self.stochastic_depth)(y, self.train)


def divisible(channels: float, divisor: int = 8) -> int:
    """Rounds a number of channels to a multiple, by at most 10 % down.

    Args:
      channels: Desired number of channels, such as a width times a multiplier.
      divisor: Divisor of the result, and its minimum.

    Example:
      >>> [divisible(channels) for channels in (3, 33.6, 36, 11)]
      [8, 32, 40, 16]
    """
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor
